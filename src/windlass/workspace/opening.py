"""Choosing a workspace by its address."""

from __future__ import annotations

from collections.abc import Mapping

from windlass.errors import ConfigError
from windlass.workspace.base import Workspace, WorkspaceSetting


async def open_workspace(
    setting: WorkspaceSetting,
    *,
    create: bool = False,
    write: bool = True,
    options: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Workspace:
    """The workspace at ``setting.root_path``, checked: it exists and may be read (and written, if ``write``).

    ``create`` makes a missing local folder. ``options`` and ``environ`` hold an object store's
    credentials and endpoint, see :class:`windlass.workspace.object_store.ObjectStoreWorkspace`; a local
    folder needs none. Raises ConfigError for an address of an unknown kind and WorkspaceError, in one sentence,
    for a place that cannot be used.
    """
    address = setting.root_path
    scheme, separator, _ = address.partition("://")
    if not separator:
        from windlass.workspace.local import LocalWorkspace

        local = LocalWorkspace(address)
        await local.open(create=create, write=write)
        return local
    if scheme.lower() == "s3":
        from windlass.workspace.object_store import ObjectStoreWorkspace

        store = ObjectStoreWorkspace(address, environ=environ, **(options or {}))
        await store.open()
        return store
    raise ConfigError(
        f"Workspace address {address!r} is of an unknown kind; give a folder or an s3://bucket/prefix address."
    )
