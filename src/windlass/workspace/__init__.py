"""Where a run's files live: name rules, the local folder, the object store."""

from windlass.errors import UnsafePath, WorkspaceConflict, WorkspaceError
from windlass.workspace.base import (
    MAX_FILE_BYTES,
    Applied,
    Change,
    FileVersion,
    Workspace,
    WorkspaceSetting,
    decode,
)
from windlass.workspace.names import check_path

__all__ = [
    "MAX_FILE_BYTES",
    "Applied",
    "Change",
    "FileVersion",
    "UnsafePath",
    "Workspace",
    "WorkspaceConflict",
    "WorkspaceError",
    "WorkspaceSetting",
    "check_path",
    "decode",
]
