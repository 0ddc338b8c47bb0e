"""What a document run may be asked for: checked, completed and put into one shape before anything is kept or spent."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from decimal import Decimal, InvalidOperation
from typing import Any

from windlass.errors import ArgumentError, InputError
from windlass.inputs import MAX_REQUIREMENT, as_list, command_words, shown, utf8_text
from windlass.journal import Journal
from windlass.steps.answers import MAX_BEST_OF, MAX_LOOPS
from windlass.steps.find_files import checked_target
from windlass.vocabulary import plain
from windlass.workflows.exchanges import exchanges_of
from windlass.workflows.plans import MAX_PAGES
from windlass.workspace import check_path

CheckOptions = Callable[[Mapping[str, Any], Journal], Awaitable[dict[str, Any]]]

#: Tags by their plain spelling, and the option each sets.
TAGS: Mapping[str, str] = {
    "model": "model",
    "pages": "pages",
    "write": "to",
    "workflow": "workflow",
    "best-of": "best_of",
    "loops": "loops",
}

#: Every option of a workflow or of a run, but for models and files; see docs/reference/workflows.md.
KNOWN = frozenset(
    {
        "to", "pages", "context", "best_of", "loops", "criteria", "concurrency", "max_repairs", "test_command", "tags",
        "texts", "tests", "budget", "allow_unknown_price", "approve", "sandbox", "prompt_texts", "shared_budgets",
    }
)  # fmt: skip

#: Those of them that the coding workflow has no use for.
_DOCUMENTS_ONLY = frozenset(
    {"to", "pages", "context", "best_of", "loops", "criteria", "concurrency", "texts"}
)

MAX_CONCURRENCY = 1000
MAX_FILES = 10_000

#: What a person can ask to be shown before it is done.
APPROVALS = ("writes",)
SANDBOXES = ("auto", "bubblewrap", "landlock", "off")


def checker(workflow: str) -> CheckOptions:
    """The check of a workflow's options, as :meth:`windlass.app.App.create_run` calls it."""

    async def check_options(options: Mapping[str, Any], journal: Journal) -> dict[str, Any]:
        """The options as the run keeps them. Raises InputError, mostly also a ValueError, saying which is wrong."""
        checked = check(workflow, options)
        checked["exchanges"] = [
            *(checked.get("exchanges") or ()),
            *await exchanges_of(journal, checked.get("context") or ()),
        ]
        return checked

    return check_options


async def check_coding(options: Mapping[str, Any], journal: Journal) -> dict[str, Any]:
    """The check of the coding workflow's options; of the tags it knows ``model``."""
    tags = tag_options(options.get("tags") or {})
    if unknown := [name for name in tags if name != "model"]:
        raise ArgumentError(f"The coding workflow has no use for the tag {unknown[0].replace('_', ' ')!r}.")
    given = {**options, **tags}
    given.pop("tags", None)
    _check_text("requirement", given.get("requirement"))
    _check_shared(given)
    for name in ("files", "tests"):
        given[name] = _names(name, given.get(name))
    given["max_repairs"] = number("max repairs", given.get("max_repairs"), 0, 20, 3)
    return given


def check(workflow: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the check that needs no journal."""
    given = {**options, **tag_options(options.get("tags") or {})}
    given.pop("tags", None)
    given.pop("workflow", None)
    _check_text("message", given.get("message"))
    _check_shared(given)
    if given.get("criteria") is not None and not isinstance(given["criteria"], str):
        raise ArgumentError(f"The criteria must be a text, not {shown(given['criteria'])}.")
    given["context"] = as_list("context", given.get("context"))
    if not _is_texts(given.get("texts") or {}):
        raise ArgumentError("The texts must be texts by name, such as {'notes.md': '# Notes'}.")
    for name in ("files", "references"):
        given[name] = _names(name, given.get(name))
    if workflow == "auto" and not given["files"]:
        raise ArgumentError("The list of files is empty; name the files to work on with --file.")
    if isinstance(given.get("to"), os.PathLike):
        given["to"] = os.fspath(given["to"])
    if given.get("to") is not None:
        if not isinstance(given["to"], str):
            raise ArgumentError(f"The file name must be a text, not {shown(given['to'])}.")
        if not given["to"].strip():
            raise ArgumentError("The file name is empty; name the file to write.")
        given["to"] = checked_target(given["to"])
        if workflow == "write-tests":
            _check_test_file(given["to"], given["files"])
    if workflow == "write-pages" or given.get("pages") not in (None, ""):
        asked = _pages(given.get("pages"))
        given["pages"], given["pages_asked"] = min(asked, MAX_PAGES), asked
    given["best_of"] = number("best of", given.get("best_of"), 1, MAX_BEST_OF, 1)
    given["loops"] = number("loops", given.get("loops"), 0, MAX_LOOPS, 0)
    given["concurrency"] = number("concurrency", given.get("concurrency"), 1, MAX_CONCURRENCY, 16)
    given["max_repairs"] = number("max repairs", given.get("max_repairs"), 0, 20, 3)
    return given


def check_known(options: Iterable[str], known: Set[str] = KNOWN) -> None:
    """Raises InputError for the name of an option that there is not."""
    for name in options:
        if name not in known:
            raise InputError(f"No option is called {name!r}; known: {', '.join(sorted(known))}.")


def check_useful(workflow: str, options: Iterable[str]) -> None:
    """Raises InputError for an option of other workflows."""
    for name in options:
        if name in (_DOCUMENTS_ONLY if workflow == "coding" else {"tests"}):
            raise InputError(f"The workflow {workflow} has no use for the option {name!r}.")


def tag_options(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Tags (``{"best of": 3}``) as options. ArgumentError for an unknown tag lists the known ones."""
    if not isinstance(tags, Mapping):
        raise ArgumentError("The tags must be values by name, such as {'best of': 3}.")
    options: dict[str, Any] = {}
    for name, value in tags.items():
        option = TAGS.get(plain(str(name)))
        if option is None:
            known = ", ".join(name.replace("-", " ") for name in TAGS)
            raise ArgumentError(f"No tag is called {name!r}; known: {known}.")
        options[option] = value
    return options


def _check_text(what: str, text: Any) -> None:
    """What a person asks."""
    if text is None or (isinstance(text, str) and not text.strip()):
        raise ArgumentError(f"The {what} is empty; say what you want.")
    if not isinstance(text, str):
        raise ArgumentError(f"The {what} must be a text, not {type(text).__name__}.")
    if len(text) > MAX_REQUIREMENT:
        raise ArgumentError(
            f"The {what} has {len(text):,} characters; at most {MAX_REQUIREMENT:,} can be sent to a model."
        )


def _check_shared(given: dict[str, Any]) -> None:
    """What the workflows have in common; brings it into one shape."""
    for option, what in (("model", "model"), ("fast_model", "fast model"), ("judge_model", "judge model")):
        name = given.get(option)
        if name is not None and not isinstance(name, str):
            raise ArgumentError(f"The {what} must be a model's name, not {shown(name)}.")
        if name is not None and not name.strip():
            raise ArgumentError(f"The {what} is empty; name one, or leave it out.")
    if given.get("budget") is not None:
        given["budget"] = amount("budget", given["budget"])
    shared = given.get("shared_budgets")
    if shared is not None:
        if not isinstance(shared, Mapping):
            raise ArgumentError("The shared budgets must be amounts by name, such as {'team': '2.50'}.")
        given["shared_budgets"] = {str(name): amount("shared budget", cap) for name, cap in shared.items()}
    if given.get("approve") is not None:
        given["approve"] = as_list("approve", given["approve"])
        for what in given["approve"]:
            if what not in APPROVALS:
                raise ArgumentError(
                    f"Nothing called {what!r} can be approved; known: {', '.join(APPROVALS)}."
                )
    if given.get("sandbox") is not None and given["sandbox"] not in SANDBOXES:
        raise ArgumentError(f"There is no sandbox {given['sandbox']!r}; known: {', '.join(SANDBOXES)}.")
    if given.get("test_command") is not None:
        given["test_command"] = command_words(given["test_command"]) or None
    if not isinstance(given.get("allow_unknown_price") or False, bool):
        raise ArgumentError(
            f"allow_unknown_price must be True or False, not {shown(given['allow_unknown_price'])}."
        )
    if not _is_texts(given.get("prompt_texts") or {}):
        raise ArgumentError("The prompt texts must be texts by a prompt's name.")
    for name, value in given.items():
        for text in _texts_in(value):
            utf8_text(text, name.replace("_", " "))


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for part in pair for text in _texts_in(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts_in(part)]
    return []


def _is_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(text, str) for name, text in value.items()
    )


def amount(what: str, value: Any) -> str:
    """An amount of money above zero, as a run keeps it. Raises ArgumentError."""
    try:
        usd = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        usd = Decimal("nan")
    if isinstance(value, bool) or not usd.is_finite():
        raise ArgumentError(f"The {what} must be an amount in USD, such as 0.50, not {shown(value)}.")
    if usd <= 0:
        raise ArgumentError(f"A {what} of {value} USD allows no call; give more than 0, or leave it out.")
    return str(usd)


def _check_test_file(target: str, files: Sequence[str]) -> None:
    if len(files) > 1:
        raise ArgumentError(
            f"{len(files)} files are to be tested, but one test file is named ({target}); leave it out."
        )
    if target in files:
        raise ArgumentError(f"{target} is the file under test; its tests need a file of their own.")


def _pages(value: Any) -> int:
    if value is None or value == "":
        raise ArgumentError(f"The page count is missing; give one from 1 to {MAX_PAGES} with --pages.")
    number = _whole("page count", value)
    if number < 1:
        raise ArgumentError(f"The page count must be at least 1, not {number}.")
    return number


def number(what: str, value: Any, least: int, most: int, default: int) -> int:
    """A whole number within bounds. Raises ArgumentError."""
    if value is None or value == "":
        return default
    given = _whole(what, value)
    if not least <= given <= most:
        raise ArgumentError(f"The value of {what!r} must be from {least} to {most}, not {given}.")
    return given


def _whole(what: str, value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        raise ArgumentError(f"The {what} must be a whole number, not {shown(value)}.")
    return int(text)


def _names(what: str, value: Any) -> list[str]:
    names = [check_path(name) for name in dict.fromkeys(as_list(what, value))]
    if len(names) > MAX_FILES:
        raise ArgumentError(f"{len(names):,} files were named; one run takes at most {MAX_FILES:,}.")
    return names
