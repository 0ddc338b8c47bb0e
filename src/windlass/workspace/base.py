"""The seam to where a run's files live: what a workspace can do, and what a change is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from windlass.errors import ConfigError

#: A file larger than this (bytes) is neither read into a prompt nor written by a model.
MAX_FILE_BYTES = 10_000_000


@dataclass(frozen=True)
class WorkspaceSetting:
    """Where a workflow works. Raises ConfigError when a value cannot be used.

    ``root_path`` is a folder or an ``s3://bucket/prefix`` address; ``project_type`` a free word such as
    ``"python"``; ``directory_tree`` an optional listing to show to a model.
    """

    root_path: str
    project_type: str = "python"
    directory_tree: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.root_path, Path):
            object.__setattr__(self, "root_path", str(self.root_path))
        if not isinstance(self.root_path, str) or not self.root_path.strip() or "\0" in self.root_path:
            raise ConfigError("workspace root_path must be a folder's path or an s3:// address, not empty.")
        if not isinstance(self.project_type, str) or not self.project_type.strip():
            raise ConfigError("workspace project_type must be a word such as 'python', not empty.")
        if self.directory_tree is not None and not isinstance(self.directory_tree, str):
            raise ConfigError("workspace directory_tree must be a text or None.")


@dataclass(frozen=True)
class FileVersion:
    """A file as it was read: exact bytes and what identifies this version of it.

    ``token`` is the store's own version mark (an object's ETag); for a local file it is the SHA-256.
    ``mode`` holds the permission bits of a local file, None elsewhere.
    """

    path: str
    data: bytes
    sha256: str
    token: str
    mode: int | None = None


@dataclass(frozen=True)
class Change:
    """One file's intended change: content before (None = absent) and after (None = deleted), as bytes."""

    path: str
    before: bytes | None
    after: bytes | None
    mode: int | None = None

    @property
    def kind(self) -> str:
        """``created``, ``deleted``, ``modified`` or ``unchanged``."""
        if self.before == self.after:
            return "unchanged"
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "modified"


@dataclass(frozen=True)
class Applied:
    """What :meth:`Workspace.apply` did: changes written now, and those found already in place."""

    written: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


class Workspace(Protocol):
    """A tree of files under one root. Paths are POSIX-relative and pass ``check_path`` first.

    Every method may raise WorkspaceError (one sentence) and UnsafePath.
    """

    @property
    def location(self) -> str:
        """The address to show to a person: an absolute folder or ``s3://bucket/prefix``."""

    async def read(self, path: str) -> FileVersion | None:
        """The file's exact content, or None when there is no such file. Never follows a symlink."""

    async def list(self, *, limit: int = 5000) -> Sequence[str]:
        """Paths of regular files, sorted; leaves out version-control data, caches and virtual environments."""

    async def apply(self, changes: Sequence[Change], *, force: bool = False) -> Applied:
        """Make all changes or none.

        A file whose content already equals ``after`` counts as done, so applying twice is harmless.
        Raises WorkspaceConflict, having written nothing, when a file is neither ``before`` nor
        ``after`` (unless ``force``).
        """

    async def materialise(self, target: Path) -> None:
        """Copy every file into the empty local folder ``target`` (for a sandbox to run on)."""


def decode(path: str, data: bytes) -> str:
    """The file's text, BOM kept as ``\\ufeff``. Raises WorkspaceError for binary or undecodable bytes."""
    from windlass.errors import WorkspaceError

    if b"\0" in data[:8192]:
        raise WorkspaceError(f"{path} is a binary file; only text files can be given to a model or edited.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WorkspaceError(
            f"{path} is not UTF-8 text (byte {error.start}); convert it first, nothing was changed."
        ) from None
