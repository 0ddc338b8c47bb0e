"""The instructions of the document steps as texts: the effective version of their prompt, filled in."""

from __future__ import annotations

from typing import Any

from windlass.errors import ArgumentError
from windlass.prompt import PromptStore, PromptTemplate, PromptTemplateVariable, default_store
from windlass.steps.context import FILE_FORMAT
from windlass.steps.documents import FILE_VARIABLES, PROSE_FORMAT, Instruction
from windlass.steps.planning import PLAN_FILE_PROMPT
from windlass.steps.writing import WRITE_CODE, WRITE_FILE_PROMPT, WRITE_VARIABLES

PLAN_FILE = Instruction("documents.plan_file", PLAN_FILE_PROMPT, FILE_VARIABLES)
WRITE_FILE = Instruction("documents.write_file", WRITE_FILE_PROMPT, WRITE_VARIABLES)

_EMPTY = {
    "exchanges": "(none)",
    "references": "(none)",
    "present": "(it does not exist yet)",
    "purpose": "what the person asks of it",
    "plan": "(none)",
}


def plan_file_creation(initial_message: str, file_name: str, *, repository: PromptStore | None = None) -> str:
    """What a model is told to plan a new file. ValueError for an empty message or file name."""
    _check("message", initial_message)
    _check("file name", file_name)
    return _filled(PLAN_FILE, PLAN_FILE.variables, repository, message=initial_message, path=file_name)


def write_file(file_name: str, purpose: str, *, repository: PromptStore | None = None) -> str:
    """What a model is told to write a new file of prose. ValueError for an empty file name or purpose."""
    _check("file name", file_name)
    _check("purpose", purpose)
    return _filled(
        WRITE_FILE,
        WRITE_VARIABLES,
        repository,
        message=purpose,
        path=file_name,
        purpose=purpose,
        form=PROSE_FORMAT,
    )


def write_code_file(file_name: str, purpose: str, *, repository: PromptStore | None = None) -> str:
    """What a model is told to write a new file of code. ValueError for an empty file name or purpose."""
    _check("file name", file_name)
    _check("purpose", purpose)
    return _filled(
        WRITE_CODE,
        WRITE_VARIABLES,
        repository,
        message=purpose,
        path=file_name,
        purpose=purpose,
        form=FILE_FORMAT,
    )


def _filled(
    instruction: Instruction,
    variables: Any,
    repository: PromptStore | None,
    **values: str,
) -> str:
    store = repository or default_store()
    known: tuple[PromptTemplateVariable, ...] = tuple(variables)
    content = store.resolve(instruction.prompt_name, instruction.default_prompt, variables=known).content
    wanted = {variable.name for variable in known}
    texts = {name: text for name, text in {**_EMPTY, **values}.items() if name in wanted}
    return PromptTemplate(content, known).fill(texts)


def _check(what: str, text: Any) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ArgumentError(f"The {what} is empty.")
