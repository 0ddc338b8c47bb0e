"""What a person gives on the command line, checked and brought into one shape before anything is spent."""

from __future__ import annotations

import glob
import itertools
import os
import re
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass.errors import ArgumentError, InputError, UnsafePath
from windlass.workspace.names import check_path, spelling_among

#: A requirement longer than this (characters) is not meant to be sent to a model whole.
MAX_REQUIREMENT = 200_000
#: Characters of one given file: what a prompt may carry from all files (:data:`windlass.steps.context.MAX_CONTEXT`).
MAX_GIVEN_FILE = 600_000
#: Characters of a value that an error quotes.
_QUOTED = 80


@dataclass
class GivenFiles:
    """Files by their names for the run; ``imports`` holds the texts of those that come from outside the workspace."""

    names: list[str] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)


def read_requirement(given: str, what: str = "requirement") -> str:
    """The requirement's text: as given, from ``@file``, or from standard input for ``-``."""
    if given == "-":
        if sys.stdin.isatty():
            sys.stderr.write(f"Type the {what}; end with Ctrl-D.\n")
        text = _decoded(sys.stdin.buffer.read(), "standard input")
    elif given.startswith("@"):
        if not os.path.lexists(given[1:]):
            raise InputError(
                f"There is no file {given[1:]}; to send a text that begins with @, put a space before it."
            )
        text = read_text(Path(given[1:]), most=MAX_REQUIREMENT)
    else:
        text = utf8_text(given, what)
    if not text.strip():
        raise InputError(f"The {what} is empty; say what you want, or name a file with @FILE.")
    if len(text) > MAX_REQUIREMENT:
        raise InputError(
            f"The {what} has {len(text):,} characters; at most {MAX_REQUIREMENT:,} can be sent to a model."
        )
    return text


def utf8_text(text: str, what: str) -> str:
    """``text`` itself. InputError when it cannot be sent: bytes of the terminal that are no UTF-8, half a character."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"The {what} is not UTF-8 text (character {error.start + 1}); convert it first."
        ) from None
    return text


def as_list(what: str, value: Any) -> list[str]:
    """Texts or paths, of which one alone may be given as it is. ArgumentError for anything else."""
    if value is None:
        return []
    if isinstance(value, str | os.PathLike):
        value = [value]
    given = list(value) if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping) else [value]
    texts = [os.fspath(one) if isinstance(one, os.PathLike) else one for one in given]
    if not all(isinstance(text, str) for text in texts):
        raise ArgumentError(f"The {what} must be a text or a list of texts, not {shown(value)}.")
    return texts


def shown(value: Any) -> str:
    """A value as an error quotes it: not more of it than a sentence can hold."""
    text = repr(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


def command_words(command: Any) -> list[str]:
    """The words of a command that was given as one text or as its words. ArgumentError when it is neither."""
    if isinstance(command, str):
        try:
            return shlex.split(command)
        except ValueError as error:
            raise ArgumentError(f"The test command {command!r} cannot be read: {error}.") from None
    return as_list("test command", command)


def check_command(command: Sequence[str]) -> None:
    """InputError when the sandbox of this machine would not find the program of a test command."""
    from windlass.sandbox.view import environment

    program, path = command[0] if command else "", environment("", "", None)["PATH"]
    if not program or ("/" in program and not program.startswith("/")):
        return  # below the workspace, where the run may make it yet
    if shutil.which(program, path=path) is None:
        raise InputError(f"There is no command {program!r} to run tests with; a sandbox looks in {path}.")


def read_text(path: Path, *, most: int = MAX_GIVEN_FILE) -> str:
    """A text file of the person's. InputError says in one sentence why it cannot be used."""
    allowed = f"at most {most:,} characters can be given to a model"
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file.")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not a regular file; name a text file.")
        size = path.stat().st_size
        if size > 4 * most:  # no character of UTF-8 has more bytes
            raise InputError(f"{path} has {size:,} bytes; {allowed}.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    return given_text(str(path), data, most=most)


def given_text(name: str, data: bytes, *, most: int = MAX_GIVEN_FILE) -> str:
    """What a given file says. InputError where that is no text, or too much of it."""
    text = _decoded(data, name)
    if len(text) > most:
        raise InputError(
            f"{name} has {len(text):,} characters; at most {most:,} characters can be given to a model."
        )
    return text


def _decoded(data: bytes, name: str) -> str:
    if b"\0" in data[:8192]:
        raise InputError(f"{name} is a binary file; only text can be given to a model.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text (byte {error.start}); convert it first.") from None


def workspace_folder(given: str | None, title: str) -> tuple[str, bool]:
    """The workspace's address, and whether its folder must be made.

    Without one: a new folder below the current one, named after the title.
    """
    if given is not None and "://" in given:
        return given, False
    if given is None:
        words = re.findall(r"[a-z0-9]+", title.lower())[:5]
        base = "-".join(words)[:40].strip("-") or "windlass-run"
        folder = Path.cwd() / base
        number = 1
        while folder.exists():
            number += 1
            folder = Path.cwd() / f"{base}-{number}"
        return str(folder), True
    folder = Path(given).expanduser().absolute()
    if folder.is_file() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"The workspace {given} is a file; name a folder.")
    if not folder.exists():
        raise InputError(
            f"The workspace {given} does not exist; make it first, or leave --workspace out for a new folder."
        )
    return str(folder.resolve()), False


def given_files(
    patterns: Iterable[str],
    workspace: str,
    *,
    must_exist: bool,
    what: str,
    stored: Sequence[str] = (),
    brought_in: bool = False,
    besides: GivenFiles | None = None,
    reserved: Sequence[str] = (),
) -> GivenFiles:
    """Names for what was given: paths, folders of tests, or patterns.

    A path is looked for in the workspace first, then from the current folder. A file from outside the workspace that is
    ``brought_in`` has its own name there, and InputError is raised where another given file has it. One that is only shown
    is called by as much of its path's end as no other file, ``reserved`` name or file ``besides`` has: ``README.md``, else
    ``template/README.md``. ``stored`` = the names in a workspace that is no folder (an object store).
    """
    root = None if "://" in workspace else Path(workspace)
    found = GivenFiles()
    known = besides or GivenFiles()
    for name, path, text in _named(
        patterns, root, workspace, must_exist=must_exist, what=what, stored=stored
    ):
        imports = {**known.imports, **found.imports}
        if path is None or text is None:
            taken = name in imports
        elif brought_in:
            taken = imports.get(name, text) != text or (
                name not in imports and name in (*known.names, *found.names)
            )
        else:
            free = (
                tail for tail in _tails(path) if not _is_other(tail, text, root, stored, imports, reserved)
            )
            name = next(free, "")
            taken = not name
        if taken:
            both = name or (path.name if path is not None else "")
            raise InputError(f"Two given files would both be {both} in the workspace; rename one.")
        _checked(name, what)
        if text is not None:
            found.imports[name] = text
        if name not in found.names:
            found.names.append(name)
    return found


def _named(
    patterns: Iterable[str],
    root: Path | None,
    workspace: str,
    *,
    must_exist: bool,
    what: str,
    stored: Sequence[str],
) -> Iterator[tuple[str, Path | None, str | None]]:
    """Each given file's name; for one from outside the workspace also where it is, and its text."""
    for pattern in patterns:
        names = (
            _in_store(pattern, stored, workspace, must_exist=must_exist, what=what) if root is None else ()
        )
        if names:
            yield from ((name, None, None) for name in names)
            continue
        for path in _expand(pattern, root, what):
            name, text = _place(path, root, must_exist=must_exist, what=what)
            yield name, (None if text is None else path), text


def _tails(path: Path) -> Iterator[str]:
    """The path's name, its last two parts, its last three, and so on."""
    parts = Path(os.path.normpath(path.absolute())).parts[1:]
    return ("/".join(parts[-count:]) for count in range(1, len(parts) + 1))


def _is_other(
    name: str,
    text: str,
    root: Path | None,
    stored: Sequence[str],
    imports: Mapping[str, str],
    reserved: Sequence[str],
) -> bool:
    """Whether that name already means something else than this text."""
    in_workspace = name in stored if root is None else (root / name).exists()
    return in_workspace or name in reserved or imports.get(name, text) != text


def _in_store(
    pattern: str, stored: Sequence[str], workspace: str, *, must_exist: bool, what: str
) -> Sequence[str]:
    """The names in an object store that a pattern means; none where it means a file of this computer."""
    name = pattern.strip().removeprefix("./").rstrip("/")
    if name in stored:
        return [name]
    below = [path for path in stored if name and path.startswith(f"{name}/")]
    if below and what == "tests":
        below = [path for path in below if re.fullmatch(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py", path)]
        if not below:
            raise InputError(f"The folder {pattern} in {workspace} holds no test_*.py or *_test.py file.")
        return below
    if below:
        raise InputError(
            f"{pattern} is a folder in {workspace}; name files with --{what}, or '{pattern}/*.py'."
        )
    if any(c in name for c in "*?["):
        fitting = _pattern(name)
        hits = [path for path in stored if fitting.fullmatch(path)]
        if hits or glob.glob(pattern, recursive=True):  # noqa: PTH207
            return hits
        raise InputError(f"No file in {workspace} or here matches {pattern!r} (given with --{what}).")
    if name and not Path(pattern).exists():
        if must_exist:
            raise InputError(f"There is no file {pattern} in {workspace}, nor here (given with --{what}).")
        return [_checked(name, what)]
    return []


def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of the shell, where ``*`` stays within a folder and ``**/`` goes through any number of them."""
    parts = re.split(r"(\*\*/|\*+|\?|\[!?[^\]]+\])", pattern)
    meant = {"**/": "(?:.*/)?", "?": "[^/]"}
    return re.compile(
        "".join(
            meant.get(part)
            or (
                "[^/]*"
                if part[:1] == "*"
                else part.replace("[!", "[^", 1)
                if part[:1] == "["
                else re.escape(part)
            )
            for part in parts
        )
    )


def _expand(pattern: str, root: Path | None, what: str) -> Sequence[Path]:
    if not pattern.strip():
        raise InputError(f"An empty name was given with --{what}; name a file.")
    bases = [base for base in (root, Path.cwd()) if base is not None]
    if any(c in pattern for c in "*?[") and not any((base / pattern).exists() for base in bases):
        forms = dict.fromkeys((pattern, *(unicodedata.normalize(form, pattern) for form in ("NFC", "NFD"))))
        for base, form in itertools.product(bases, forms):
            # glob.glob takes absolute and relative patterns alike, which Path.glob does not.
            hits = sorted(glob.glob(str(base / form), recursive=True))  # noqa: PTH207
            files = [Path(hit) for hit in hits if Path(hit).is_file()]
            if files:
                return files
        raise InputError(f"No file matches {pattern!r} (given with --{what}).")
    for base in bases:
        here = _as_spelled(base, pattern, what)
        if here.is_dir():
            if what != "tests":
                raise InputError(
                    f"{pattern} is a folder; name files with --{what}, or a pattern such as '{pattern}/**/*.py'."
                )
            tests = sorted({*here.rglob("test_*.py"), *here.rglob("*_test.py")})
            if not tests:
                raise InputError(f"The folder {pattern} holds no test_*.py or *_test.py file.")
            return tests
        if here.exists():
            return [here]
    return [Path(pattern)]


def _as_spelled(base: Path, given: str, what: str) -> Path:
    """The path as its names are spelled on the disk: another program may have written them in another Unicode form."""
    whole = base / given
    if given.isascii() or whole.exists():
        return whole
    here = base
    for part in Path(given).parts:
        try:
            present = [entry.name for entry in here.iterdir()] if here.is_dir() else []
            here /= spelling_among(given, unicodedata.normalize("NFC", part), present)
        except OSError:
            return whole
        except UnsafePath as error:
            raise InputError(f"--{what}: {error}") from None
    return here


def _place(path: Path, root: Path | None, *, must_exist: bool, what: str) -> tuple[str, str | None]:
    whole = path if path.is_absolute() or path.exists() else (root or Path.cwd()) / path
    inside = root is not None and whole.absolute().is_relative_to(root)
    exists = whole.exists()
    if not exists and (must_exist or not inside):
        raise InputError(f"There is no file {path} (given with --{what}).")
    if inside and root is not None:
        name = whole.absolute().relative_to(root).as_posix()
        if exists:
            read_text(whole)
        return _checked(name, what), None
    return _checked(path.name, what), read_text(whole)


def _checked(name: str, what: str) -> str:
    try:
        return check_path(name)
    except UnsafePath as error:
        raise InputError(f"--{what}: {error}") from None
