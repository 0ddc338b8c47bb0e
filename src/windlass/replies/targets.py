"""Turn the paths a model wrote into paths of the workspace that may be written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from windlass.errors import ReplyError, UnsafePath
from windlass.replies.kinds import refusal
from windlass.workspace import check_path

#: Folders that models write in front of a name when they do not know the real one.
_PLACEHOLDERS = re.compile(
    r"(?:(?:path/to|your|my|the)(?:/[\w\- ]+)*|(?:your|my|the)[_\- ]?(?:project|repo|repository|app|folder|directory|package|path|code)|"
    r"project|project[_-]?root|repo|repository|repo[_-]?root|root|workspace)(?:/|$)",
    re.IGNORECASE,
)


class Targets:
    """The names of one request: what was asked for, what is there, and what a written name means."""

    def __init__(self, asked_for: Sequence[str] | None, known_files: Mapping[str, str]) -> None:
        self.asked = None if asked_for is None else list(dict.fromkeys(asked_for))
        self.known = known_files
        self._by_form = {_form(name): name for name in [*known_files, *(self.asked or [])]}
        self._resolved: dict[tuple[str, bool], str] = {}
        self.names = frozenset([*known_files, *(self.asked or [])])

    @property
    def only(self) -> str | None:
        """The one path asked for, when it is one."""
        return self.asked[0] if self.asked is not None and len(self.asked) == 1 else None

    def resolve(self, written: str, *, existing: bool = False) -> str:
        """The workspace path that a written name means. Raises ReplyError (unsafe_path).

        ``existing`` = the name must be of a known file (edits), so a folder left out may be filled in.
        """
        if (written, existing) not in self._resolved:
            self._resolved[written, existing] = self._resolve(written, existing=existing)
        return self._resolved[written, existing]

    def _resolve(self, written: str, *, existing: bool) -> str:
        name = written if written in self.names else written.strip()
        while name.startswith(("./", ".\\")):
            name = name[2:].lstrip("/") if name.startswith(".//") else name[2:]
        if "\\" in name and not name.startswith("\\") and not re.match(r"[A-Za-z]:", name):
            name = name.replace("\\", "/")
        try:
            name = check_path(name)
        except UnsafePath as error:
            raise refusal(
                "unsafe_path",
                str(error),
                "Use a path relative to the workspace, with '/' between its parts, without '..'.",
                path=written,
            ) from None
        name = self._by_form.get(_form(name), name)
        if name.startswith("@") and name not in self.names:
            # As people point at a file for a model; folders whose name begins so do exist.
            name = self._by_form.get(_form(name[1:]), name)
        if name in self.names and (self.asked is None or name in self.asked):
            return name
        if self.asked is not None and name not in self.names:
            return self._meant(name, self.asked) or name
        if existing and name not in self.known:
            return self._meant(name, self.known) or name
        return name

    def _meant(self, name: str, candidates: Iterable[str]) -> str | None:
        longer = [path for path in candidates if path.endswith("/" + name)]
        if len(longer) == 1:
            return longer[0]
        shorter = [
            path
            for path in candidates
            if name.endswith("/" + path) and _PLACEHOLDERS.fullmatch(name[: -len(path)])
        ]
        return shorter[0] if len(shorter) == 1 else None

    def collision(self, paths: Iterable[str]) -> ReplyError | None:
        """An error where two paths, or one and a known file, are one on some file system, or a file is also a folder."""
        paths = list(paths)
        known = {_form(path).casefold(): path for path in self.known}
        seen: dict[str, str] = {}
        for path in paths:
            form = _form(path).casefold()
            other = (
                seen.setdefault(form, path)
                if path in self.known
                else seen.setdefault(form, known.get(form, path))
            )
            if other != path:
                return refusal(
                    "conflict",
                    f"{other!r} and {path!r} are the same file on some systems.",
                    "Give every file a name of its own.",
                    path=path,
                )
        folders = {parent: path for form, path in known.items() for parent in _folders(form)}
        for form, path in list(seen.items()):
            if form in folders and path not in self.known:
                return refusal("conflict", f"{path!r} is the folder of {folders[form]!r}.", path=path)
            inside = next((known[parent] for parent in _folders(form) if parent in known), None)
            if inside is not None and inside not in paths:
                return refusal("conflict", f"{inside!r} is a file, so {path!r} cannot be in it.", path=path)
        for form, path in seen.items():
            for parent in _folders(form):
                if parent in seen:
                    return refusal(
                        "conflict", f"{seen[parent]!r} is both a file and the folder of {path!r}.", path=path
                    )
        return None


def _folders(path: str) -> Iterator[str]:
    """The folders a path lies in, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name)
