"""What a batch is made of: items from a JSONL file, from files that match a pattern, or from a Python iterable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from windlass.errors import InputError, UnsafePath, WorkspaceError
from windlass.ids import sha256_hex
from windlass.inputs import MAX_REQUIREMENT, utf8_text
from windlass.workspace import Change
from windlass.workspace.changes import checked
from windlass.workspace.names import check_path

MAX_ITEMS = 100_000
_KEYS = ("id", "requirement", "message", "files", "tests", "tags")


@dataclass(frozen=True)
class Item:
    """One piece of work. ``id`` names it within its batch, ``message`` says what is wanted.

    ``files`` and ``tests`` (text by path) are put into the item's own folder. An item with a ``workspace`` works in that
    folder instead, on the files ``names`` that are there. ``tags`` are those of the workflows: ``model``, ``write``, ….
    ``where`` is the place it was read from, for errors.
    """

    id: str
    message: str
    files: Mapping[str, str] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    workspace: str | None = None
    names: Sequence[str] = ()
    where: str = ""

    @property
    def texts(self) -> dict[str, str]:
        """Its files and tests together."""
        return {**self.files, **self.tests}

    @property
    def told(self) -> str:
        """What an error calls it: ``items.jsonl, line 2, item 'b'``."""
        return f"{self.where}, item {self.id!r}" if self.where else f"Item {self.id!r}"

    @property
    def folder(self) -> str:
        """A folder name for the item: its id where that is one, else made from it, as unique as the id."""
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", self.id).strip("-")[:60]
        return self.id if plain == self.id else f"{plain or 'item'}-{sha256_hex(self.id)[:8]}"


def read_items(path: Path) -> list[Item]:
    """The items of a JSONL file. InputError names the line of what cannot be used."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); convert it first.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    return checked_items(_parsed(path, lines), str(path))


def _parsed(path: Path, lines: Sequence[str]) -> Iterator[Item]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not a JSON object ({error}).") from None
        where = f"{path}, line {number}"
        try:
            yield replace(item_of(value, default_id=str(number)), where=where)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None


def item_of(value: Any, *, default_id: str) -> Item:
    """An item from a JSON object with ``id``, ``requirement`` or ``message``, ``files``, ``tests``, ``tags``.

    Raises InputError for anything else.
    """
    if isinstance(value, Item):
        return _checked(value)
    if not isinstance(value, Mapping):
        raise InputError('an item is a JSON object such as {"id": "1", "message": "…"}.')
    if unknown := [str(key) for key in value if key not in _KEYS]:
        raise InputError(f"no item has a key {unknown[0]!r}; known: {', '.join(_KEYS)}.")
    message = value.get("requirement", value.get("message"))
    if not isinstance(message, str) or not message.strip():
        raise InputError("the item has neither a requirement nor a message; say what you want.")
    if len(message) > MAX_REQUIREMENT:
        raise InputError(
            f"the message has {len(message):,} characters; at most {MAX_REQUIREMENT:,} can be sent."
        )
    given = value.get("id", default_id)
    item_id = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
    if not item_id.strip() or len(item_id) > 200 or not item_id.isprintable():
        raise InputError("the id must be a printable text of 1 to 200 characters.")
    tags = value.get("tags") or {}
    if not isinstance(tags, Mapping):
        raise InputError('tags must be an object such as {"model": "…"}.')
    return _checked(Item(item_id, message, _texts("files", value), _texts("tests", value), dict(tags)))


def _texts(key: str, value: Mapping[str, Any]) -> dict[str, str]:
    texts = value.get(key) or {}
    if not isinstance(texts, Mapping) or not all(isinstance(text, str) for text in texts.values()):
        raise InputError(f"{key} must be an object of texts by path.")
    try:
        return {check_path(str(name)): text for name, text in texts.items()}
    except UnsafePath as error:
        raise InputError(f"{key}: {error}") from None


def _checked(item: Item) -> Item:
    """The item itself. InputError where no folder can hold all of its texts as files."""
    for key, texts in (("files", item.files), ("tests", item.tests)):
        for name, text in texts.items():
            if "\0" in utf8_text(text, f"text of {name} in {key}"):
                raise InputError(
                    f"The text of {name} in {key} holds a NUL character, which no text file has."
                )
    if twice := [name for name in item.files if item.tests.get(name, item.files[name]) != item.files[name]]:
        raise InputError(f"files and tests both hold {twice[0]}, with different texts.")
    try:
        checked([Change(name, None, text.encode()) for name, text in item.texts.items()])
    except WorkspaceError as error:
        raise InputError(str(error)) from None
    return item


def checked_items(items: Iterable[Item | Mapping[str, Any]], where: str = "The batch") -> list[Item]:
    """All items, at least one, no id twice. Raises InputError."""
    found: dict[str, Item] = {}
    for number, given in enumerate(items, 1):
        try:
            item = item_of(given, default_id=str(number))
        except InputError as error:
            raise InputError(f"Item {number}: {error}") from None
        if item.id in found:
            raise InputError(f"{where} has two items with the id {item.id!r}; ids must differ.")
        if number > MAX_ITEMS:
            raise InputError(f"{where} has more than {MAX_ITEMS:,} items; make several batches.")
        found[item.id] = item
    if not found:
        raise InputError(f"{where} has no item.")
    return list(found.values())


def items_for_each(patterns: Iterable[str], message: str, workspace: str) -> list[Item]:
    """An item for each file of a folder that matches; the item's id is the file's path, and it is worked on in place.

    Raises InputError where a pattern matches nothing or a file is no text.
    """
    from windlass.inputs import given_files

    found = given_files(patterns, workspace, must_exist=True, what="each")
    if found.imports:
        name = next(iter(found.imports))
        raise InputError(f"{name} is outside the workspace {workspace}; name its folder with --workspace.")
    return checked_items(
        (Item(name, message, workspace=workspace, names=(name,)) for name in found.names), "The batch"
    )
