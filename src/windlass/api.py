"""The Python API: start a run by a workflow's name, and get what it did.

::

    import windlass

    done = windlass.run("write", "A README for this project", files=["src/*.py"], to="README.md")
    print(done.status, done.summary, done.usage["cost_usd"])

In async code ``await windlass.arun(…)``, or iterate over it for the events as they come::

    going = windlass.arun("auto", "Add type annotations", files=["src/**/*.py"])
    async for event in going:
        print(event.name, dict(event.payload))
    print(going.result.status)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass.app import App
from windlass.errors import ArgumentError, InputError, WorkflowExecutionError
from windlass.events import Event, Listener, WorkflowStatus
from windlass.inputs import GivenFiles, as_list, given_files, workspace_folder
from windlass.llm.base import BaseLLMIntegration
from windlass.people import StopSignal
from windlass.report import run_report
from windlass.settings import Settings, load_settings
from windlass.wiring import stored_names
from windlass.workflows import WORKFLOWS
from windlass.workflows.adapter import as_model, refuse_outside, tagged, workflow_named
from windlass.workflows.options import check_known, check_useful, tag_options

#: A model by name, or one that is at hand: also a function from a prompt to its reply.
Model = str | BaseLLMIntegration | Callable[[str], Any]

#: The option that holds what a person asks, where it is not ``message``.
_MESSAGE = {"coding": "requirement"}


@dataclass(frozen=True)
class RunResult:
    """What a run did, as ``windlass run … --json`` prints it; ``report`` is that whole object.

    A run that failed is a result too: look at ``status``, or call :meth:`check`.
    """

    report: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """For ``windlass resume``, ``diff``, ``undo`` and ``runs show``."""
        return str(self.report["run_id"])

    @property
    def status(self) -> WorkflowStatus:
        """How the run ended."""
        return WorkflowStatus(self.report["status"])

    @property
    def summary(self) -> str:
        """What was done; for a chat the answer."""
        return self.report["summary"] or ""

    @property
    def error(self) -> str | None:
        """Why it failed, in a sentence."""
        error: str | None = self.report["error"]
        return error

    @property
    def files(self) -> Sequence[Mapping[str, Any]]:
        """The files it changed: ``path``, ``change``, ``bytes``."""
        files: Sequence[Mapping[str, Any]] = self.report["files"]
        return files

    @property
    def usage(self) -> Mapping[str, Any]:
        """Requests, tokens, ``cost_usd`` (None: not known)."""
        usage: Mapping[str, Any] = self.report["usage"]
        return usage

    def check(self) -> RunResult:
        """The result itself; raises WorkflowExecutionError unless the run ended in Success."""
        if self.status is not WorkflowStatus.Success:
            failed = next((s["path"] for s in self.report["steps"] if s["status"] == "error"), "")
            raise WorkflowExecutionError(self.run_id, failed, self.error or self.status.value)
        return self


class Going:
    """A run that :func:`arun` starts once it is awaited or iterated; both may be done, in any order.

    Iterating gives every event, streamed text included (where nobody iterates or listens, replies are not streamed).
    Leaving the loop early asks the run to stop: what is under way is finished and kept, and :func:`resume` goes on with
    it. Await it then too: a program that ends before cuts off what is under way.
    """

    def __init__(self, work: Any, stop: StopSignal) -> None:
        self._work = work
        self._stop = stop
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._task: asyncio.Task[RunResult] | None = None

    @property
    def result(self) -> RunResult:
        """The outcome, once the run has ended. Raises what kept it from starting."""
        if self._task is None or not self._task.done():
            raise RuntimeError("The run has not ended yet; await it first.")
        return self._task.result()

    def _start(self, watched: bool) -> asyncio.Task[RunResult]:
        if self._task is None:
            self._task = asyncio.ensure_future(self._work(self._events.put_nowait, watched))
            self._task.add_done_callback(lambda task: self._events.put_nowait(None))
        return self._task

    def __await__(self) -> Generator[Any, None, RunResult]:
        return self._start(watched=False).__await__()

    async def __aiter__(self) -> AsyncIterator[Event]:
        task = self._start(watched=True)
        try:
            while (event := await self._events.get()) is not None:
                yield event
            await task
        finally:
            if not task.done():
                self._stop.requested = True
                await task


def arun(
    workflow: str,
    message: str,
    *,
    workspace: str | Path | None = None,
    files: str | Path | Iterable[str | Path] = (),
    references: str | Path | Iterable[str | Path] = (),
    model: Model | None = None,
    fast_model: Model | None = None,
    judge_model: Model | None = None,
    listeners: Iterable[Listener] = (),
    settings: Settings | None = None,
    **options: Any,
) -> Going:
    """A run of ``workflow`` (by name, see docs/reference/workflows.md): await it, or iterate over its events.

    ``workspace`` is a folder or ``s3://`` address, this folder by default. ``files`` and ``references`` are paths or
    patterns, looked for in the workspace first. A model is a name of the settings, a :class:`BaseLLMIntegration`
    or a function from a prompt to its reply.
    ``options`` are the workflow's own: ``to``, ``pages``, ``best_of``, ``loops``, ``context``, ``budget``, …

    Raises, once awaited: InputError (mostly also a ValueError) for what cannot be started, JournalError and StoreError
    when nobody can say how the run stands. A failing step is no exception but the status Failure.
    """
    stop = StopSignal()

    async def work(on_event: Listener, watched: bool) -> RunResult:
        key = workflow_named(workflow, list(WORKFLOWS))
        check_known(options)
        chosen = {name: value for name, value in options.items() if value is not None}
        if key != "coding":
            key, by_tag = tagged(key, chosen.pop("tags", {}))
            chosen |= by_tag
        check_useful(key, chosen)
        named, given = _models(main=model, fast=fast_model, judge=judge_model)
        if {**tag_options(chosen.get("tags", {})), **chosen}.get("model") is not None:
            given.pop("main", None)  # a tag names the model
        root, _ = workspace_folder(str(workspace or Path.cwd()), "")
        known = settings or load_settings()
        names, read = as_list("files", files), as_list("references", references)
        stored = await stored_names(known, root) if names or read or chosen.get("tests") else ()
        wanted = _files(key, root, names, read, stored, chosen)
        app = App(known, given)
        try:
            record = await app.new_record(
                key,
                message,
                root,
                {
                    _MESSAGE.get(key, "message"): message,
                    **wanted,
                    **{_OPTION[role]: name for role, name in named.items()},
                    "yes": not options.get("approve"),
                    **chosen,
                },
            )
            await app.keep(record)
            heard = list(listeners)
            return await _follow(app, record.run_id, [on_event, *heard], stop, watched or bool(heard))
        finally:
            await app.close()

    return Going(work, stop)


def _not_in_a_loop(instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"An event loop is running here already; write: await windlass.{instead}(…)")


def run(workflow: str, message: str, **given: Any) -> RunResult:
    """Run a workflow to its end; the arguments are those of :func:`arun`. Not for use inside a running event loop."""
    _not_in_a_loop("arun")

    async def whole() -> RunResult:
        return await arun(workflow, message, **given)

    return asyncio.run(whole())


def aresume(run_id: str, *, listeners: Iterable[Listener] = (), settings: Settings | None = None) -> Going:
    """Go on with a run (an id, its beginning or end, or ``last``), approving what it waits for. What it has done comes
    from its journal. Raises, once awaited, NotFound, JournalError for one that has succeeded."""
    stop = StopSignal()

    async def work(on_event: Listener, watched: bool) -> RunResult:
        app = App(settings or load_settings())
        try:
            whole_id = await app.prepare_resume(run_id, assume_yes=True)
            heard = list(listeners)
            return await _follow(app, whole_id, [on_event, *heard], stop, watched or bool(heard))
        finally:
            await app.close()

    return Going(work, stop)


def resume(run_id: str, **given: Any) -> RunResult:
    """Go on with a run to its end; see :func:`aresume`."""
    _not_in_a_loop("aresume")

    async def whole() -> RunResult:
        return await aresume(run_id, **given)

    return asyncio.run(whole())


_OPTION = {"main": "model", "fast": "fast_model", "judge": "judge_model"}


async def _follow(
    app: App, run_id: str, listeners: list[Listener], stop: StopSignal, watched: bool
) -> RunResult:
    await app.execute(run_id, listeners=listeners, stop=stop, stream=watched)
    return RunResult(await run_report(app.journal, run_id))


def _models(**roles: Any) -> tuple[dict[str, str], dict[str, BaseLLMIntegration]]:
    """The roles that are named, and those that are at hand. A main model at hand also serves the roles left open."""
    named = {role: model for role, model in roles.items() if isinstance(model, str)}
    given: dict[str, BaseLLMIntegration] = {}
    for role, model in roles.items():
        at_hand = None if role in named else as_model(_OPTION[role], model, named=True)
        if at_hand is not None:
            given[role] = at_hand
    if "main" in given:
        for role in roles:
            if role not in named:
                given.setdefault(role, given["main"])
    return named, given


def _files(
    workflow: str,
    root: str,
    files: Sequence[str],
    references: Sequence[str],
    stored: Sequence[str],
    chosen: dict[str, Any],
) -> dict[str, Any]:
    coding, reserved = workflow == "coding", [str(chosen.get("to"))]
    texts = chosen.pop("texts", {})
    if not isinstance(texts, Mapping):
        raise ArgumentError("The texts must be texts by name, such as {'notes.md': '# Notes'}.")
    own = GivenFiles(imports=dict(texts))
    found = given_files(
        files,
        root,
        must_exist=not coding,
        what="file",
        stored=stored,
        brought_in=coding,
        besides=own,
        reserved=reserved,
    )
    if coding:
        if references:
            raise InputError("The workflow coding has no use for references; name them with files.")
        tests = given_files(
            as_list("tests", chosen.pop("tests", None)),
            root,
            must_exist=True,
            what="tests",
            stored=stored,
            brought_in=True,
            besides=found,
        )
        return {
            "files": [name for name in found.names if name not in tests.names],
            "tests": tests.names,
            "imports": {**found.imports, **tests.imports},
        }
    refuse_outside(workflow, found, root)
    own.imports.update(found.imports)
    read = given_files(
        references, root, must_exist=True, what="reference", stored=stored, besides=own, reserved=reserved
    )
    return {
        "files": [name for name in found.names if name not in found.imports],
        "references": [name for name in read.names if name not in read.imports],
        "texts": {**own.imports, **read.imports},
    }
