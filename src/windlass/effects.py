"""Everything a step can do to the world, journaled: ask a model, read, write, run tests, ask a person.

Each effect has a path. What the journal holds at that path is given back without doing it again;
otherwise the attempt is committed, done, and its whole result committed before anyone sees it.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

from windlass.budget import Budget
from windlass.errors import JournalMismatch, SandboxError, StepFailed, WindlassError, WorkspaceConflict
from windlass.history import unified
from windlass.ids import sha256_hex
from windlass.journal import Entry, EntryState, RunJournal, digest_of, step_of
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, Reply
from windlass.llm.registry import LLMIntegrationRegistry
from windlass.people import (
    CANCELLED,
    Answer,
    AskPerson,
    Interrupted,
    Question,
    StopSignal,
    WaitingForPerson,
    check_answer,
)
from windlass.plan import EventLog
from windlass.prompt import PromptStore, Resolved
from windlass.sandbox.base import Sandbox
from windlass.testreport import TestReport
from windlass.testrun import run_tests
from windlass.workspace import Change, Workspace, decode, to_bytes

GetSandbox = Callable[[], Sandbox]


@dataclass(frozen=True)
class Rendered:
    """A prompt ready to send, and the version it was made from."""

    text: str
    resolved: Resolved

    @property
    def tag(self) -> str:
        """``name@version`` for gateways and records."""
        return f"{self.resolved.name}@{self.resolved.version_no or 'default'}"


@dataclass
class Effects:
    """The parts of one run, and the effects made of them."""

    run_id: str
    journal: RunJournal
    log: EventLog
    models: LLMIntegrationRegistry
    prompts: PromptStore
    workspace: Workspace
    get_sandbox: GetSandbox
    budget: Budget
    caller: ModelCaller
    ask_person: AskPerson | None = None
    stop: StopSignal = field(default_factory=StopSignal)
    test_command: Sequence[str] | None = None
    #: Whether someone watches: then replies are streamed.
    stream: bool = True
    #: What a person must approve before it happens: ``writes``.
    approve: frozenset[str] = frozenset()
    #: What to do about a call that was cut off and may have been paid: make it again, or ask a person first.
    on_unknown: Literal["retry", "ask"] = "retry"
    #: Prompts that finished calls of this run used, by name; the run goes on with them.
    used_prompts: Mapping[str, Resolved] = field(default_factory=dict)
    #: What the runs that this one was forked from made of files, by path: its own work, done anew, may replace that.
    forked_writes: Mapping[str, Collection[str | None]] = field(default_factory=dict)
    _kept: set[str] = field(default_factory=set)
    _resolved: dict[str, Resolved] = field(default_factory=dict)
    _resolving: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: What this run last saw or wrote, by path: the SHA-256, or None for "no such file".
    seen: dict[str, str | None] = field(default_factory=dict)

    def check_stop(self) -> None:
        """Raises Interrupted once a person asked to stop."""
        if self.stop.requested:
            if self.stop.cancel:
                raise Interrupted(CANCELLED)
            raise Interrupted(f"Stopped; go on with: windlass resume {self.run_id}")

    def not_kept(self, text: str) -> list[bytes]:
        """The text as a blob to keep, nothing when this process did so already; see :meth:`kept`."""
        return [] if text in self._kept else [text.encode()]

    def kept(self, text: str) -> None:
        """The text was committed as a blob."""
        self._kept.add(text)

    # -- models ---------------------------------------------------------------------------------

    async def resolve(self, name: str, look_up: Callable[[str], Resolved]) -> Resolved:
        """The prompt version that this run is pinned to; looked up once, however many files ask for it."""
        async with self._resolving:
            if name not in self._resolved:
                resolved = await asyncio.to_thread(look_up, self.run_id)
                if resolved.source in ("stale", "default"):
                    # Not pinned: the next step tries the database again.
                    return resolved
                self._resolved[name] = resolved
            return self._resolved[name]

    async def ask(
        self,
        path: str,
        step_path: str,
        messages: Sequence[Message],
        *,
        role: str,
        prompt: Rendered,
        stream: bool,
    ) -> Reply:
        """One whole reply. Raises ModelError, BudgetExceeded or Interrupted."""
        model = self.models.get(role)
        request = {
            "messages": [asdict(m) for m in messages],
            "role": role,
            "prompt": prompt.tag,
        }
        digest = digest_of(request)
        entry = self.journal.recorded(path, digest)
        if entry is not None:
            return Reply.from_dict(entry.result)
        self.check_stop()
        await self._ask_to_repeat(path, model)
        call = ModelCall(
            path=path,
            step_path=step_path,
            request=request,
            digest=digest,
            messages=messages,
            prompt=prompt,
            tags=CallTags(self.run_id, step_path, prompt.tag, int(path.rpartition("[")[2].rstrip("]"))),
            stream=stream and self.stream,
        )
        return await self.caller.call(self, model, call)

    async def _ask_to_repeat(self, path: str, model: BaseLLMIntegration) -> None:
        last = self.journal.last(path)
        if self.on_unknown != "ask" or last is None or last.state is not EntryState.UNKNOWN:
            return
        question = Question(
            f"{path}.again[{last.attempt}]",
            "repeat",
            f"The call to {model.model_name} at {path} was cut off and may have been paid. Make it again?",
            {"reserved_usd": None if last.reserved_usd is None else str(last.reserved_usd)},
        )
        if (await self.ask_a_person(question)).action != "approve":
            raise StepFailed(f"The call at {path} was cut off, and making it again was rejected.")

    # -- files ----------------------------------------------------------------------------------

    async def read(self, path: str, name: str) -> bytes | None:
        """A file as it was when this run first read it at this place."""
        digest = digest_of(["read", name])
        entry = self.journal.recorded(path, digest)
        if entry is not None:
            sha = entry.result
            self.seen[name] = sha
            return None if sha is None else await self.journal.journal.get_blob(sha)
        version = await self.workspace.read(name)
        sha = None if version is None else version.sha256
        blobs = [] if version is None else [version.data]
        await self.journal.record(path, "read", digest, name, sha, blobs=blobs)
        self.seen[name] = sha
        return None if version is None else version.data

    async def list_files(self, path: str) -> list[str]:
        """The workspace's files as they were when this run first listed them at this place."""
        digest = digest_of(["list"])
        entry = self.journal.recorded(path, digest)
        if entry is None:
            entry = await self.journal.record(path, "read", digest, None, list(await self.workspace.list()))
        return list(entry.result)

    async def write(self, path: str, step_path: str, texts: Mapping[str, str | None]) -> list[Change]:
        """Make all these files have these texts (None = deleted), or none of them."""
        wanted = {name: None if text is None else sha256_hex(text) for name, text in sorted(texts.items())}
        digest = digest_of(["write", wanted])
        entry = self.journal.recorded(path, digest)
        if entry is not None:
            for row in entry.result:
                self.seen[row["path"]] = row["after"]
            return []
        last = self.journal.last(path)
        if last is not None and last.digest == digest and last.state is EntryState.UNKNOWN:
            changes = await self._recorded_changes(last)
        else:
            self.check_stop()
            changes = await self._new_changes(step_path, texts)
            await self._ask_to_write(path, step_path, changes)
        rows = [
            {
                "path": c.path,
                "change": c.kind,
                "before": None if c.before is None else sha256_hex(c.before),
                "after": None if c.after is None else sha256_hex(c.after),
                "bytes": 0 if c.after is None else len(c.after),
                "mode": c.mode,
            }
            for c in changes
        ]
        blobs = [data for c in changes for data in (c.before, c.after) if data is not None]
        claim = await self.journal.claim(path, "write", digest, rows, blobs=blobs)
        try:
            await self.workspace.apply(changes)
        except WindlassError as error:
            await self.journal.fail(claim, str(error))
            raise
        await self.journal.finish(claim, rows)
        for row in rows:
            self.seen[str(row["path"])] = row["after"]  # type: ignore[assignment]
            if row["change"] != "unchanged":
                self.log.emit("file_change", {"step_path": step_path, **row})
        return changes

    async def _ask_to_write(self, path: str, step_path: str, changes: Sequence[Change]) -> None:
        # What the person brought along needs no approval of theirs.
        if "writes" not in self.approve or step_path == "inputs":
            return
        changing = [c for c in changes if c.kind != "unchanged"]
        if not changing:
            return
        diff = "\n".join(unified(c.path, c.before, c.after) for c in changing)
        files = [{"path": c.path, "change": c.kind} for c in changing]
        question = Question(
            f"{path}.approve", "writes", "Write these changes?", {"diff": diff, "files": files}
        )
        try:
            answer = await self.ask_a_person(question)
        except JournalMismatch:
            names = ", ".join(c.path for c in changing)
            raise WorkspaceConflict(
                f"{names}: changed by someone else after the question was asked; nothing was written.",
                self._start_again(step_path),
            ) from None
        if answer.action != "approve":
            raise StepFailed("The changes were rejected; nothing was written.")

    async def _recorded_changes(self, claim: Entry) -> list[Change]:
        async def blob(sha: str | None) -> bytes | None:
            return None if sha is None else await self.journal.journal.get_blob(sha)

        return [
            Change(row["path"], await blob(row["before"]), await blob(row["after"]), row["mode"])
            for row in claim.request
        ]

    def _first_to_read(self, name: str) -> str | None:
        """The step that read or wrote the file first in this run."""
        reads = (
            entry for entry in self.journal.all.values() if entry.kind == "read" and entry.request == name
        )
        return next((step_of(entry.path) for entry in reads), None)

    def _start_again(self, step_path: str) -> str:
        return (
            "Look at it; to go on with it as it is now, start again from there with: "
            f"windlass fork {self.run_id} --from {shlex.quote(step_path)}"
        )

    async def _new_changes(self, step_path: str, texts: Mapping[str, str | None]) -> list[Change]:
        changes = []
        for name, text in sorted(texts.items()):
            version = await self.workspace.read(name)
            now = None if version is None else version.sha256
            if name in self.seen and now not in (self.seen[name], *self.forked_writes.get(name, ())):
                raise WorkspaceConflict(
                    f"{name} was changed by someone else while the run was working on it; nothing was written.",
                    self._start_again(self._first_to_read(name) or step_path),
                )
            before = None if version is None else version.data
            if before is not None:
                decode(name, before)
            after = None if text is None else to_bytes(text, before)
            changes.append(Change(name, before, after, None if version is None else version.mode))
        return changes

    # -- tests ----------------------------------------------------------------------------------

    async def run_tests(self, path: str, tests: Sequence[str]) -> TestReport:
        """Run these test files in the sandbox, on a copy of the workspace."""
        digest = digest_of(["tests", list(tests), list(self.test_command or [])])
        entry = self.journal.recorded(path, digest)
        if entry is not None:
            return TestReport.from_dict(entry.result)
        self.check_stop()
        sandbox = self.get_sandbox()
        claim = await self.journal.claim(path, "tests", digest, list(tests))
        try:
            with tempfile.TemporaryDirectory(prefix="windlass-", ignore_cleanup_errors=True) as scratch:
                # The folder itself, not one inside it: a sandbox that runs as another user gets exactly this one.
                folder = Path(scratch)
                await self.workspace.materialise(folder)
                report = await run_tests(sandbox, folder, tests, command=self.test_command)
        except (SandboxError, WindlassError, OSError) as error:
            await self.journal.fail(claim, str(error))
            raise
        await self.journal.finish(claim, report.to_dict())
        self.log.emit("tests", {"step_path": path.rsplit("/", 1)[0], **report.to_dict()})
        return report

    # -- people ---------------------------------------------------------------------------------

    async def ask_a_person(self, question: Question) -> Answer:
        """A person's answer. Raises WaitingForPerson when nobody is here to give it."""
        entry = self.journal.recorded(question.path, question.digest)
        if entry is not None:
            self.log.answered(question.path, entry.result)
            return Answer(entry.result["action"], entry.result.get("text", ""))
        self.check_stop()
        asked = self.journal.last(question.path)
        if asked is None:
            self.log.emit(
                "gate",
                {
                    "path": question.path,
                    "kind": question.kind,
                    "text": question.text,
                    "detail": dict(question.detail),
                    "digest": question.digest,
                },
            )
        answer = None
        if self.ask_person is not None:
            await self.log.flush()
            answer = await self.stop.unless_asked(self.ask_person(question))
        if answer is None:
            self.check_stop()
            raise WaitingForPerson(question)
        check_answer(question.kind, question.text, answer)
        result = {"action": answer.action, "text": answer.text}
        await self.journal.record(question.path, "answer", question.digest, dict(question.detail), result)
        self.log.answered(question.path, result)
        return answer


@dataclass(frozen=True)
class ModelCall:
    """One call as the journal names it, whatever number of attempts it takes."""

    path: str
    step_path: str
    request: Mapping[str, Any]
    digest: str
    messages: Sequence[Message]
    prompt: Rendered
    tags: CallTags
    stream: bool


class ModelCaller(Protocol):
    """Makes a call's attempts, with retries and fallbacks, and journals each."""

    async def call(self, effects: Effects, model: BaseLLMIntegration, call: ModelCall) -> Reply:
        """A whole reply, journaled."""


def json_text(value: Any) -> str:
    """A JSON value for a prompt or a person."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def spent_so_far(entries: Sequence[Entry]) -> Decimal:
    """USD that a run's earlier attempts cost; what a fork took over cost it nothing. One whose cost is not known counts
    at its worst case; an attempt that certainly cost nothing was settled with no reservation left."""
    total = Decimal(0)
    for entry in entries:
        if entry.kind != "model":
            continue
        if entry.cost_usd is not None:
            total += entry.cost_usd
        else:
            total += entry.reserved_usd or Decimal(0)
    return total
