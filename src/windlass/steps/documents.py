"""What the document steps share: what a run was asked for, its state, and the parts that their prompts begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.errors import ReplyError
from windlass.prompt import PromptTemplateVariable, PromptVersioningMixin, VariableSource
from windlass.replies import parse_reply
from windlass.step import BaseStep, StepContext
from windlass.steps.context import FILE_FORMAT, show_files

INTRO = (
    "You work on texts and files for one person, in small steps; other steps come before and after yours.\n"
)

EXCHANGES = """
# Earlier exchanges
{{exchanges}}
"""
MESSAGE = """
# What the person asks
{{message}}
"""
REFERENCES = """
# Files for reference
{{references}}
"""
#: What every step of a run says first, word for word, so that providers can reuse their cache.
HEAD = INTRO + EXCHANGES + MESSAGE + REFERENCES
#: The same for the steps of one file.
FILE_HEAD = (
    HEAD
    + """
# The file
`{{path}}`: {{purpose}}
Its present content:
{{present}}
"""
)

#: A fence, because without one a text that begins like talk cannot be told from talk.
PROSE_FORMAT = """\
Answer with the file's path alone on a line, then its whole text between two lines of four backticks (````), and nothing
else. Never shorten it, and never write a note such as "the rest stays" in place of text."""

EDIT_FORMAT = """\
Answer with the file's path alone on a line, then the whole file in one fenced code block, or with SEARCH/REPLACE
blocks whose SEARCH part is copied exactly from the file; and nothing else. Never shorten anything, and never write a
comment such as "rest unchanged" in place of code."""

HEAD_VARIABLES = (
    PromptTemplateVariable("exchanges"),
    PromptTemplateVariable("message", VariableSource.USER_INPUT),
    PromptTemplateVariable("references", allow_code_context_building=True),
)
FILE_VARIABLES = (
    *HEAD_VARIABLES,
    PromptTemplateVariable("path"),
    PromptTemplateVariable("purpose"),
    PromptTemplateVariable("present", allow_code_context_building=True),
)


@dataclass(frozen=True)
class Exchange:
    """An earlier message and its answer."""

    run: str
    message: str
    answer: str


@dataclass(frozen=True)
class DocumentOptions:
    """What a document run was asked for. ``files`` are names in the workspace; ``texts`` those from outside it."""

    message: str
    files: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    to: str | None = None
    pages: int = 1
    #: What was asked for before it was capped.
    pages_asked: int = 1
    best_of: int = 1
    loops: int = 0
    criteria: str = ""
    exchanges: tuple[Exchange, ...] = ()
    context: tuple[str, ...] = ()
    concurrency: int = 16
    max_repairs: int = 3
    model: str = "default"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> DocumentOptions:
        """From a stored run's options, which were checked when the run was made."""
        return cls(
            message=options["message"],
            files=tuple(options.get("files") or ()),
            references=tuple(options.get("references") or ()),
            texts=dict(options.get("texts") or {}),
            to=options.get("to"),
            pages=int(options.get("pages") or 1),
            pages_asked=int(options.get("pages_asked") or 1),
            best_of=int(options.get("best_of") or 1),
            loops=int(options.get("loops") or 0),
            criteria=options.get("criteria") or "",
            exchanges=tuple(Exchange(**row) for row in options.get("exchanges") or ()),
            context=tuple(options.get("context") or ()),
            concurrency=int(options.get("concurrency") or 16),
            max_repairs=int(3 if options.get("max_repairs") is None else options["max_repairs"]),
            model=options.get("model") or "default",
        )


@dataclass
class FileWork:
    """One file of a run, and how far it has come. ``needs`` None = every reference."""

    path: str
    purpose: str = ""
    needs: tuple[str, ...] | None = None
    present: str | None = None
    plan: str = ""
    text: str | None = None
    #: ``created``, ``modified`` or ``unchanged`` once it is saved.
    change: str = ""
    error: str = ""


@dataclass
class DocumentState:
    """What the steps of one document run hand on to each other. ``work`` is keyed as the occurrences of steps are."""

    options: DocumentOptions
    references: dict[str, str] = field(default_factory=dict)
    work: dict[str, FileWork] = field(default_factory=dict)
    page_prompts: list[str] = field(default_factory=list)
    page_texts: list[str] = field(default_factory=list)
    answer: str = ""
    facts: str = ""
    summary: str = ""


class Instruction(PromptVersioningMixin):
    """A prompt with versions that belongs to no step of its own."""

    def __init__(self, name: str, default: str, variables: Sequence[PromptTemplateVariable]) -> None:
        self._name = name
        self._default = default
        self.variables: Sequence[Any] = variables
        self.prompt_variables = variables

    @property
    def prompt_name(self) -> str:
        """Its name."""
        return self._name

    @property
    def default_prompt(self) -> str:
        """The text that becomes version 1."""
        return self._default


class DocumentStep(BaseStep):
    """A step of a document workflow; its prompt is ``documents.NAME`` and may use ``variables``."""

    variables: Sequence[PromptTemplateVariable] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.prompt_variables = cls.variables

    @property
    def prompt_name(self) -> str:
        """Its prompt's name."""
        return f"documents.{self.name}"

    def process_response(self, response: str) -> Any:
        """The reply without outer blank lines."""
        return response.strip()


def key_of(path: str) -> str:
    """The occurrence's key: ``docs/a.md`` of ``process_step[docs/a.md]``."""
    return path.partition("[")[2].removesuffix("]")


def work_of(ctx: StepContext[DocumentState]) -> FileWork:
    """The file that this occurrence of a step is about."""
    return ctx.state.work[key_of(ctx.path)]


def head_values(state: DocumentState, needs: Sequence[str] | None = None) -> dict[str, str]:
    """The values of :data:`HEAD`; ``needs`` chooses among the references, None = all."""
    chosen = state.references
    if needs is not None:
        chosen = {name: text for name, text in state.references.items() if name in needs}
    return {
        "exchanges": show_exchanges(state.options.exchanges),
        "message": state.options.message.strip(),
        "references": show_files(chosen),
    }


def file_values(state: DocumentState, file: FileWork) -> dict[str, str]:
    """The values of :data:`FILE_HEAD`. The file itself is not shown a second time among the references; one from outside
    the workspace is another file, also where it has the same name."""
    needs = [
        name
        for name in (state.references if file.needs is None else file.needs)
        if name != file.path or name in state.options.texts
    ]
    return {
        **head_values(state, needs),
        "path": file.path,
        "purpose": file.purpose or "what the person asks of it",
        "present": show_present(file),
    }


def show_present(file: FileWork) -> str:
    """The file's content for a prompt, or that there is none."""
    return "(it does not exist yet)" if file.present is None else show_files({file.path: file.present})


def show_exchanges(exchanges: Sequence[Exchange]) -> str:
    """Earlier exchanges for a prompt, oldest first."""
    told = [f"The person:\n{e.message.strip()}\n\nYou:\n{e.answer.strip()}" for e in exchanges]
    return "\n\n".join(told) or "(none)"


def code_format(present: str | None) -> str:
    """How a code file is to be answered with."""
    return FILE_FORMAT if present is None else EDIT_FORMAT


def read_file_reply(text: str, path: str, present: str | None) -> str:
    """The whole new text of one file from a reply; the present one when the reply changes nothing.

    Raises ReplyError for anything else than this one file: talk, an apology, another file, a deletion.
    """
    texts = parse_reply(text, asked_for=[path], known_files={} if present is None else {path: present})
    if path not in texts:
        if present is None:
            raise ReplyError("no_file", f"The reply holds no content for {path}.", path=path)
        return present
    new = texts[path]
    if new is None:
        raise ReplyError(
            "delete_not_allowed",
            f"{path} is to be written, not deleted; answer with its whole text.",
            path=path,
        )
    return new
