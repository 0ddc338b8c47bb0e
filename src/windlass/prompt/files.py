"""Prompt versions as Markdown files with YAML front matter, one a version, fit for review in git.

::

    ---
    prompt: summary
    version: 3
    origin: human
    note: shorter
    sha256: 5e2d…          # of the text below; an edited file must drop this line to be imported
    ---
    Summarise {{text}} in five lines.

Importing is idempotent: a text that a version already has is not added again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from windlass.errors import InputError
from windlass.ids import sha256_hex
from windlass.prompt import rules
from windlass.prompt.records import PromptStore, VersionInfo

_FIELDS = {
    "prompt",
    "version",
    "in_effect",
    "origin",
    "author",
    "note",
    "parent",
    "created",
    "model",
    "sha256",
}
_FRONT = re.compile(r"\A---\r?\n(?P<head>.*?)^---\r?\n(?P<text>.*)\Z", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class PromptFile:
    """What a file says. ``version_no`` is where the text came from; importing gives it a number of its own."""

    name: str
    text: str
    version_no: int | None = None
    author: str | None = None
    note: str | None = None
    model_hint: str | None = None


@dataclass(frozen=True)
class Imported:
    """One file's fate: the version that has its text now, and whether it was added."""

    file: str
    name: str
    version_no: int
    added: bool


def dump(version: VersionInfo) -> str:
    """The file of a version; :func:`parse` reads it back."""
    said: dict[str, Any] = {
        "prompt": version.name,
        "version": version.version_no,
        "in_effect": version.is_current_effective or None,
        "origin": version.origin,
        "author": version.author,
        "note": version.note,
        "parent": version.parent_version_no,
        "created": version.created_at.isoformat(timespec="seconds"),
        "model": version.model_hint,
        "sha256": version.content_sha256,
    }
    kept = {key: value for key, value in said.items() if value is not None}
    head = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{head}---\n{version.content}\n"


def parse(source: str, file: str) -> PromptFile:
    """What the file says. InputError, naming ``file``, when it is no prompt file or was tampered with."""
    match = _FRONT.match(source.removeprefix("\ufeff"))
    if match is None:
        raise InputError(f"{file} is no prompt file: it must begin with a block between two '---' lines.")
    try:
        head = yaml.safe_load(match["head"])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 2}" if mark else ""
        raise InputError(f"The front matter of {file} is not YAML{where}.") from None
    if not isinstance(head, dict) or not isinstance(head.get("prompt"), str):
        raise InputError(f"The front matter of {file} must name its prompt ('prompt: NAME').")
    if unknown := sorted(str(key) for key in head if key not in _FIELDS):
        raise InputError(f"The front matter of {file} has unknown entries: {', '.join(unknown)}.")
    version = head.get("version")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 1):
        raise InputError(f"The version in {file} must be a whole number above 0.")
    # The newline that ends the file is the file's, not the prompt's. Git and editors may have changed all
    # line ends; the hash tells whether they did.
    exact, stated = match["text"].removesuffix("\n"), head.get("sha256")
    text = exact.replace("\r\n", "\n").removesuffix("\r")
    if stated is not None and str(stated) == sha256_hex(exact):
        text = exact
    elif stated is not None and str(stated) != sha256_hex(text):
        raise InputError(
            f"The text in {file} is not the one it was exported with (sha256 differs): if you meant to "
            "change it, remove its 'sha256' line and import it again."
        )
    check_text = {key: head.get(key) for key in ("author", "note", "model")}
    if wrong := [
        key for key, value in check_text.items() if value is not None and not isinstance(value, str)
    ]:
        raise InputError(f"In the front matter of {file}, {', '.join(wrong)} must be text.")
    rules.check_name(head["prompt"])
    rules.check_text(head["prompt"], text)
    return PromptFile(head["prompt"], text, version, head.get("author"), head.get("note"), head.get("model"))


def file_name(version: VersionInfo) -> str:
    """``summary.v0003.md``: sorts by number, and holds nothing a file system minds."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", version.name).lstrip(".") or "prompt"
    if safe != version.name:
        # Two names that differ only in what was replaced must not share a file.
        safe += "-" + sha256_hex(version.name)[:8]
    return f"{safe}.v{version.version_no:04}.md"


def export(
    store: PromptStore, folder: Path, names: Iterable[str] | None = None, *, retired: bool = False
) -> list[Path]:
    """Write one file per version into ``folder``; gives the files. What is there already is replaced."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name in store.names() if names is None else names:
            for version in store.versions(name, retired=retired):
                path = folder / file_name(version)
                path.write_text(dump(version), encoding="utf-8", newline="")
                written.append(path)
        return written
    except OSError as error:
        raise InputError(f"{error.filename or folder} cannot be written: {error.strerror}.") from error


def load(files: Sequence[Path]) -> list[tuple[Path, PromptFile]]:
    """Read and check all files, in the order of prompt and number. InputError for the first bad one."""
    found = []
    for path in files:
        try:
            found.append((path, parse(path.read_bytes().decode("utf-8"), str(path))))
        except UnicodeDecodeError:
            raise InputError(f"{path} is no UTF-8 text.") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    return sorted(found, key=lambda each: (each[1].name, each[1].version_no or 10**9, str(each[0])))


def import_files(store: PromptStore, files: Sequence[Path], *, author: str | None = None) -> list[Imported]:
    """Add the texts that no version has yet, none in effect. Every file is checked before any is added.

    A prompt the store does not know gets its first text as version 1, in effect.
    """
    loaded = load(files)
    known = set(store.names())
    first: dict[str, str] = {}
    for _, said in loaded:
        if said.name in known:
            store.check(said.name, said.text)
        else:
            variables = rules.declared_variables(first.setdefault(said.name, said.text), None)
            rules.check_fits(said.name, said.text, variables)
    result = []
    for path, said in loaded:
        if said.name not in known:
            store.ensure(said.name, said.text)
            known.add(said.name)
            result.append(Imported(str(path), said.name, 1, True))
            continue
        # Retired ones too: else a file whose version retired would come in again at every import.
        every = sorted(
            store.versions(said.name, retired=True), key=lambda version: version.archived_at is None
        )
        have = {version.content: version.version_no for version in every}
        if said.text in have:
            result.append(Imported(str(path), said.name, have[said.text], False))
            continue
        number = store.add(
            said.name,
            said.text,
            note=said.note,
            author=said.author or author,
            origin="import",
            model_hint=said.model_hint,
        )
        result.append(Imported(str(path), said.name, number, True))
    return result
