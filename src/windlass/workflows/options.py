"""What a document run may be asked for: checked, completed and put into one shape before anything is kept or spent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from windlass.errors import ArgumentError
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

MAX_CONCURRENCY = 1000
MAX_FILES = 10_000


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


def check(workflow: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the check that needs no journal."""
    given = {**options, **tag_options(options.get("tags") or {})}
    given.pop("tags", None)
    given.pop("workflow", None)
    message = given.get("message")
    if not isinstance(message, str) or not message.strip():
        raise ArgumentError("The message is empty; say what you want.")
    if given.get("model") is not None and not str(given["model"]).strip():
        raise ArgumentError("The model is empty; name one, or leave it out.")
    for name in ("files", "references"):
        given[name] = _names(name, given.get(name))
    if workflow == "auto" and not given["files"]:
        raise ArgumentError("The list of files is empty; name the files to work on with --file.")
    if given.get("to") is not None:
        if not isinstance(given["to"], str) or not given["to"].strip():
            raise ArgumentError("The file name is empty; name the file to write.")
        given["to"] = checked_target(given["to"])
        if workflow == "write-tests":
            _check_test_file(given["to"], given["files"])
    if workflow == "write-pages":
        asked = _pages(given.get("pages"))
        given["pages"], given["pages_asked"] = min(asked, MAX_PAGES), asked
    given["best_of"] = _number("best of", given.get("best_of"), 1, MAX_BEST_OF, 1)
    given["loops"] = _number("loops", given.get("loops"), 0, MAX_LOOPS, 0)
    given["concurrency"] = _number("concurrency", given.get("concurrency"), 1, MAX_CONCURRENCY, 16)
    given["max_repairs"] = _number("max repairs", given.get("max_repairs"), 0, 20, 3)
    return given


def tag_options(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Tags (``{"best of": 3}``) as options. ArgumentError for an unknown tag lists the known ones."""
    options: dict[str, Any] = {}
    for name, value in tags.items():
        option = TAGS.get(plain(str(name)))
        if option is None:
            known = ", ".join(name.replace("-", " ") for name in TAGS)
            raise ArgumentError(f"No tag is called {name!r}; known: {known}.")
        options[option] = value
    return options


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


def _number(what: str, value: Any, least: int, most: int, default: int) -> int:
    if value is None or value == "":
        return default
    number = _whole(what, value)
    if not least <= number <= most:
        raise ArgumentError(f"The value of {what!r} must be from {least} to {most}, not {number}.")
    return number


def _whole(what: str, value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.lstrip("+-").isascii() or not text.lstrip("+-").isdigit():
        raise ArgumentError(f"The {what} must be a whole number, not {value!r}.")
    return int(text)


def _names(what: str, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ArgumentError(f"The {what} must be a list of names.")
    names = [check_path(name) for name in dict.fromkeys(value)]
    if len(names) > MAX_FILES:
        raise ArgumentError(f"{len(names):,} files were named; one run takes at most {MAX_FILES:,}.")
    return names
