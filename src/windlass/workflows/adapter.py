"""The call shape of the original, over the run engine: journaled, priced and resumable like every other run."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from windlass.errors import ArgumentError, InputError, ModelError, ModelRefused, WorkflowExecutionError
from windlass.events import WorkflowStatus
from windlass.llm.base import BaseLLMIntegration, CallTags, Message, OnText, Price, Reply
from windlass.report import steps_of
from windlass.vocabulary import find_enum_value
from windlass.workflows import WORKFLOWS
from windlass.workflows.options import tag_options

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.inputs import GivenFiles
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
        """What the function says to the messages' texts, joined. ModelRefused when it raises or gives anything but text."""
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
    pieces: list[str] = []
    if isinstance(said, str):
        _take(said, pieces, on_text)
    elif isinstance(said, AsyncIterable):
        async for piece in said:
            _take(piece, pieces, on_text)
    elif isinstance(said, Iterable) and not isinstance(said, bytes | bytearray | Mapping | AbstractSet):
        for piece in said:
            _take(piece, pieces, on_text)
    else:
        raise _no_text(said)
    return "".join(pieces)


def _take(piece: Any, pieces: list[str], on_text: OnText | None) -> None:
    if not isinstance(piece, str):
        raise _no_text(piece)
    if any("\ud800" <= c <= "\udfff" for c in piece):
        raise ModelRefused("process_prompt gave a text with half a character in it (a lone surrogate).")
    pieces.append(piece)
    if on_text is not None:
        on_text(piece)


def _no_text(said: Any) -> ModelRefused:
    return ModelRefused(f"process_prompt gave {type(said).__name__}, not a text or pieces of text.")


async def execute(
    workflow: DocumentWorkflow,
    process_prompt: Any,
    initial_message: str,
    file_references: Sequence[str] | None,
    selected_message_ids: Sequence[str] | None,
    tags: Mapping[str, Any] | None,
) -> str:
    """See :meth:`DocumentWorkflow.execute`."""
    from windlass.app import App
    from windlass.inputs import as_list, given_files
    from windlass.settings import load_settings

    key, asked = tagged(workflow.key, tags or {})
    model = as_model("process_prompt", process_prompt) or workflow.llm_integration
    integrations = {} if model is None else dict.fromkeys(("main", "fast", "judge"), model)
    if asked.get("model") is not None:
        # The model that a tag names is the one that works; the other keeps the roles that no tag can fill.
        integrations.pop("main", None)
    app = App(load_settings() if workflow.app is None else workflow.app.settings, integrations)
    try:
        root = workflow.workspace_setting.root_path
        names = as_list("file references", file_references)
        files = given_files(
            names,
            root,
            must_exist=True,
            what="file",
            stored=await app.stored_names(root) if names else (),
            reserved=[str(asked.get("to"))],
        )
        refuse_outside(key, files, root)
        options = {
            "message": initial_message,
            "files": [name for name in files.names if name not in files.imports],
            "texts": files.imports,
            "context": as_list("selected message ids", selected_message_ids),
            **asked,
            "yes": True,
        }
        return await _run(app, workflow, key, root, options)
    finally:
        await app.close()


async def _run(app: App, workflow: DocumentWorkflow, key: str, root: str, options: Mapping[str, Any]) -> str:
    record = await app.new_record(key, str(options["message"]), root, options)
    await app.keep(record)
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
    words = str(name).strip()
    if words.lower().endswith("workflow"):
        words = words[: -len("workflow")].rstrip(" _-")
    try:
        return str(find_enum_value(words or str(name), known))
    except ArgumentError:
        raise InputError(f"No workflow is called {name!r}; known: {', '.join(known)}.") from None


def tagged(workflow: str, tags: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The document workflow that tags name, else ``workflow``; and the options that tags set. InputError for unknown ones."""
    options = tag_options(tags)
    named = options.pop("workflow", None)
    if named is not None:
        workflow = workflow_named(named, [name for name in WORKFLOWS if name != "coding"])
    return workflow, options


def refuse_outside(workflow: str, files: GivenFiles, root: str) -> None:
    """InputError where a workflow works on the given files themselves and one is not in the workspace."""
    if files.imports and workflow in ("auto", "write-tests"):
        name = next(iter(files.imports))
        raise InputError(f"{name} is outside the workspace {root}; name its folder as workspace.")


def as_model(what: str, given: Any, *, named: bool = False) -> BaseLLMIntegration | None:
    """A model that is at hand: as it is, or a function as one. ArgumentError for anything else, a client object say;
    ``named``: a name would have done too."""
    if given is None or isinstance(given, BaseLLMIntegration):
        return given
    if callable(given) and not isinstance(given, type):
        return CallableLLM(given)
    kinds = "a model's name, a model" if named else "a model"
    got = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
    raise ArgumentError(f"{what} must be {kinds} or a function from a prompt to its reply, not {got}.")
