"""The call shape of the original, over the run engine: journaled, priced and resumable like every other run."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from windlass.errors import ArgumentError, InputError, ModelError, ModelRefused, WorkflowExecutionError
from windlass.events import WorkflowStatus
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Price, Reply
from windlass.report import steps_of
from windlass.vocabulary import find_enum_value

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.workflows.documents import DocumentWorkflow


@dataclass(eq=False)
class CallableLLM(BaseLLMIntegration):
    """A function from a prompt to its reply, as a model. Its price is not known."""

    function: Any
    model_name: str = "function"
    price: Price = field(default_factory=lambda: Price("unknown"))

    async def request(
        self, messages: Sequence[Message], *, tags: CallTags | None = None, on_text: OnText | None = None
    ) -> Reply:
        """What the function says to the messages' texts, joined. ModelRefused when it raises or says nothing."""
        prompt = "\n\n".join(message.content for message in messages)
        try:
            said = self.function(prompt)
            if inspect.isawaitable(said):
                said = await said
            text = await _collect(said, on_text)
        except ModelError:
            raise
        except Exception as error:
            # Somebody else's code: whatever it raises is a call that failed, and says so under its own name.
            raise ModelRefused(f"process_prompt raised {type(error).__name__}: {error}") from error
        return Reply(text, self.model_name)


async def _collect(said: Any, on_text: OnText | None) -> str:
    if isinstance(said, Reply):
        said = said.text
    if isinstance(said, str):
        if on_text is not None:
            on_text(said)
        return said
    pieces: list[str] = []
    if isinstance(said, AsyncIterable):
        async for piece in said:
            _take(piece, pieces, on_text)
    elif isinstance(said, Iterable):
        for piece in said:
            _take(piece, pieces, on_text)
    else:
        raise TypeError(f"it returned {type(said).__name__}, not a text or pieces of text")
    return "".join(pieces)


def _take(piece: Any, pieces: list[str], on_text: OnText | None) -> None:
    pieces.append(str(piece))
    if on_text is not None:
        on_text(pieces[-1])


async def execute(
    workflow: DocumentWorkflow,
    process_prompt: Any,
    initial_message: str,
    file_references: Sequence[str] | None,
    selected_message_ids: Sequence[str] | None,
    tags: Mapping[str, Any] | None,
) -> str:
    """See :meth:`DocumentWorkflow.execute`."""
    from windlass.app import WORKFLOWS, App
    from windlass.inputs import given_files
    from windlass.settings import load_settings

    tags = dict(tags or {})
    named = {name.strip().lower(): value for name, value in tags.items()}.get("workflow")
    key = workflow.key if named is None else workflow_named(str(named), list(WORKFLOWS))
    root = workflow.workspace_setting.root_path
    files = given_files(file_references or (), root, must_exist=True, what="file")
    options = {
        "message": initial_message,
        "files": [name for name in files.names if name not in files.imports],
        "texts": files.imports,
        "context": list(selected_message_ids or ()),
        "tags": tags,
        "yes": True,
    }
    model = _model(process_prompt) or workflow.llm_integration
    integrations = {} if model is None else dict.fromkeys(("main", "fast", "judge"), model)
    app = App(load_settings() if workflow.app is None else workflow.app.settings, integrations)
    try:
        return await _run(app, workflow, key, root, options)
    finally:
        await app.close()


async def _run(app: App, workflow: DocumentWorkflow, key: str, root: str, options: Mapping[str, Any]) -> str:
    record = await app.create_run(key, str(options["message"]), root, options)
    app.check_models(record.options)
    workflow.id = record.run_id
    record = await app.execute(record.run_id, listeners=workflow.listeners)
    workflow.status, workflow.summary = record.status, record.summary
    if record.status is not WorkflowStatus.Success:
        entries = await app.journal.entries(record.run_id)
        steps = steps_of(entries, await app.journal.events(record.run_id))
        failed = next((step["path"] for step in steps if step["status"] == "error"), "")
        raise WorkflowExecutionError(record.run_id, failed, record.error or record.status.value)
    return record.summary or ""


def workflow_named(name: str, known: Sequence[str]) -> str:
    """The workflow's key by any spelling: ``Write Pages Workflow``, ``write_pages``, ``write-pages``."""
    words = name.strip()
    if words.lower().endswith("workflow"):
        words = words[: -len("workflow")].rstrip(" _-")
    try:
        return str(find_enum_value(words or name, known))
    except ArgumentError:
        raise InputError(f"No workflow is called {name!r}; known: {', '.join(known)}.") from None


def _model(process_prompt: Any) -> BaseLLMIntegration | None:
    if process_prompt is None or isinstance(process_prompt, BaseLLMIntegration):
        return process_prompt
    if callable(process_prompt):
        return CallableLLM(process_prompt)
    raise ArgumentError(
        f"process_prompt must be a model or a function from a prompt to its reply, not {type(process_prompt).__name__}."
    )
