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
from windlass.workspace.names import check_path, collision_key
from windlass.workspace.opening import open_workspace
from windlass.workspace.text import to_bytes, to_text

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
    "collision_key",
    "decode",
    "open_workspace",
    "to_bytes",
    "to_text",
]
