"""A workspace in an S3-compatible object store.

An object store has no transaction over several objects, so "all or none" is kept as far as it can be:
everything is compared first, every write is conditional on the version that was compared, and a
failure in the middle takes back what was written, unless somebody else has changed it since. Two
limits remain: other readers can see a set of changes half done for a moment, and S3 has no conditional
delete, so a deletion is compared right before it is sent. See ``docs/reference/workspace.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from windlass.errors import ConfigError, UnsafePath, WorkspaceError
from windlass.workspace.base import MAX_FILE_BYTES, Applied, Change, FileVersion
from windlass.workspace.changes import (
    checked,
    conflict,
    folder_of,
    is_ignored,
    listed_name,
    name_of,
    parents,
    refuse_twin,
    sort_out,
)
from windlass.workspace.copying import MAX_COPIED_FILES, Allowance, prepare_target
from windlass.workspace.names import check_path, has_other_spelling, spelling_among
from windlass.workspace.s3_client import chosen_options, connect, explained
from windlass.workspace.shielded import to_the_end

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta

#: Requests under way at once.
MAX_REQUESTS = 16

T = TypeVar("T")

_ADDRESS = re.compile(r"(?i:s3)://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")


@dataclass(frozen=True)
class _Object:
    data: bytes
    token: str


class ObjectStoreWorkspace:
    """Objects below ``s3://bucket/prefix``; see :class:`windlass.workspace.base.Workspace` for what it does.

    ``options`` are ``access_key_id``, ``secret_access_key``, ``session_token``, ``region`` and
    ``endpoint`` (an ``http://`` endpoint is taken as asked for); those left out are looked up in
    ``environ`` under their usual ``AWS_…`` names. Raises ConfigError for an address or option that cannot be
    used, or when the ``s3`` extra is not installed. Sends nothing before the first call.
    """

    def __init__(self, url: str, /, *, environ: Mapping[str, str] | None = None, **options: str) -> None:
        found = _ADDRESS.fullmatch(url)
        if found is None:
            raise ConfigError(
                f"{url!r} is not an object store address; write s3://bucket or s3://bucket/prefix."
            )
        self._bucket = found["bucket"]
        self._prefix = (found["prefix"] or "").rstrip("/")
        if self._prefix:
            try:
                self._prefix = check_path(self._prefix)
            except UnsafePath as error:
                raise ConfigError(f"The prefix of {url!r} cannot be used: {error.reason}.") from None
        chosen = chosen_options(options, environ or {})
        self._endpoint = chosen.get("endpoint", "Amazon S3")
        self._store = connect(self._bucket, self._prefix, chosen)

    @property
    def location(self) -> str:
        """``s3://bucket/prefix``, without credentials."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    async def open(self) -> None:
        """Say early, in one sentence, why this place cannot be read; WorkspaceError. Creates nothing."""
        with self._explained(self.location):
            async for _ in self._store.list(chunk_size=1):
                break

    async def read(self, path: str) -> FileVersion | None:
        """The object's exact content, or None. WorkspaceError when it is over MAX_FILE_BYTES or a folder."""
        path = check_path(path)
        key = await self._key(path)
        found = await self._get(key)
        if found is None:
            await self._refuse_folder(key)
            return None
        return FileVersion(path, found.data, hashlib.sha256(found.data).hexdigest(), found.token)

    async def list(self, *, limit: int = 5000) -> Sequence[str]:
        """The first ``limit`` paths that :meth:`read` can give, sorted."""
        return [path for path, _ in await self._listed(limit)]

    async def _listed(self, limit: int) -> Sequence[tuple[str, str]]:
        """Each path with its key."""
        keys: dict[str, list[str]] = {}
        in_order = 0
        empty: list[str] = []
        with self._explained(self.location):
            async for chunk in self._store.list(chunk_size=1000):
                for meta in chunk:
                    key = meta["path"]
                    path = None if is_ignored(key) else listed_name(key)
                    if path is not None:
                        keys.setdefault(path, []).append(key)
                        in_order += path == key
                        if meta["size"] == 0:
                            empty.append(key)
                # Keys come in the order of their text; a path may come after that of a key in another form.
                if in_order >= limit + len(empty):
                    break
        # "folder/" markers, which some tools leave, are listed like an empty object named "folder".
        markers = {
            path for path, meta in zip(empty, await self._each(self._head, empty), strict=True) if not meta
        }
        found = sorted((path, spelled[0]) for path, spelled in keys.items() if len(spelled) == 1)
        return [(path, key) for path, key in found if key not in markers][:limit]

    async def apply(self, changes: Sequence[Change], *, force: bool = False) -> Applied:
        """Make all changes or none, within the limits named above; modes are not kept here."""
        return await to_the_end(self._apply(checked(changes), force))

    async def materialise(self, target: Path) -> None:
        """Copy every object that :meth:`list` would name into the empty folder ``target``, as ordinary files.

        WorkspaceError when they add up to more than MAX_COPIED_BYTES.
        """
        await asyncio.to_thread(prepare_target, target)
        allowance = Allowance(self.location)

        listed = dict(await self._listed(MAX_COPIED_FILES + 1))

        async def copy(path: str) -> None:
            allowance.add_file()
            with self._explained(path):
                found = await self._open(listed[path])
                if found is None:
                    return  # deleted since it was listed
                with await asyncio.to_thread(_new_file, target / path) as file:
                    async for chunk in found.stream():
                        allowance.add_bytes(len(chunk))
                        await asyncio.to_thread(file.write, chunk)

        await self._each(copy, list(listed))

    # ------------------------------------------------------------------ the transaction

    async def _apply(self, wanted: Sequence[Change], force: bool) -> Applied:
        keys = await self._each(self._key, [change.path for change in wanted])
        names = {key: change.path for key, change in zip(keys, wanted, strict=True)}
        plan = [replace(change, path=key) for key, change in zip(keys, wanted, strict=True)]
        found = dict(
            zip(
                [change.path for change in plan],
                await self._each(self._get, [change.path for change in plan]),
                strict=True,
            )
        )
        present = {path: None if one is None else one.data for path, one in found.items()}
        todo, already = sort_out(plan, present, force=force)
        await self._refuse_clashes([change.path for change in todo if found[change.path] is None])
        # Deletions come last: they are the ones that cannot be made conditional.
        ordered = sorted(todo, key=lambda change: change.after is None)
        begun: list[Change] = []
        try:
            for change in ordered:
                begun.append(change)
                await self._make(change, found[change.path])
        except WorkspaceError as error:
            stuck = [
                change.path
                for change in reversed(begun)
                if not await self._take_back(change, found[change.path])
            ]
            if stuck:
                raise WorkspaceError(
                    f"{', '.join(stuck)} could neither be finished nor be taken back in {self.location};"
                    " run again to finish the changes."
                ) from error
            raise
        return Applied(
            written=tuple(names[change.path] for change in todo),
            already=tuple(names[change.path] for change in already),
        )

    async def _make(self, change: Change, old: _Object | None) -> None:
        if change.after is not None:
            await self._put(change.path, change.after, old.token if old else None)
            return
        meta = await self._head(change.path)
        if meta is None:
            return
        if old is None or meta["e_tag"] != old.token:
            raise conflict([change.path])
        with self._explained(change.path):
            await self._store.delete_async(change.path)

    async def _put(self, path: str, data: bytes, token: str | None) -> None:
        """Write if the object is still the version ``token`` (None: still absent), else WorkspaceConflict."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._explained(path):
            try:
                await self._store.put_async(
                    path, data, mode="create" if token is None else {"e_tag": token}, use_multipart=False
                )
                return
            except (AlreadyExistsError, PreconditionError):
                pass
        # A first attempt whose answer was lost is refused when it is repeated: then it is our own write.
        now = await self._get(path)
        if now is None or now.data != data:
            raise conflict([path])

    async def _take_back(self, change: Change, old: _Object | None) -> bool:
        """Restore one object unless somebody else has changed it; False when that cannot be known."""
        try:
            now = await self._get(change.path)
            data = None if now is None else now.data
            if data != change.after:
                return True  # never written, or no longer ours to touch
            if old is not None:
                await self._put(change.path, old.data, now.token if now else None)
            elif now is not None:
                await self._make(Change(change.path, before=now.data, after=None), now)
        except WorkspaceError:
            return False
        return True

    # ------------------------------------------------------------------ checks

    async def _key(self, path: str) -> str:
        """A checked path as its parts are spelled in the bucket, as far as they are there; see ``plain_files.on_disk``."""
        if not has_other_spelling(path):
            return path
        found = ""
        for spot in (*parents(path), path):
            component = name_of(spot)
            if has_other_spelling(component):
                files, folders = await self._siblings(found)
                component = spelling_among(path, component, files | folders)
            found = f"{found}/{component}" if found else component
        return found

    async def _refuse_folder(self, path: str) -> None:
        with self._explained(path):
            async for chunk in self._store.list(path, chunk_size=1):
                if chunk:
                    raise WorkspaceError(f"{path} is a folder, not a file.")

    async def _refuse_clashes(self, created: Sequence[str]) -> None:
        """Refuse new names that a folder tree could not hold beside the present ones."""
        levels = sorted({folder_of(spot) for path in created for spot in (*parents(path), path)})
        listed = dict(zip(levels, await self._each(self._siblings, levels), strict=True))
        for path in created:
            for spot in (*parents(path), path):
                files, folders = listed[folder_of(spot)]
                refuse_twin(path, name_of(spot), files | folders)
                if spot != path and name_of(spot) in files:
                    raise WorkspaceError(f"{path} cannot be there, because a part of its path is a file.")
            if name_of(path) in listed[folder_of(path)][1]:
                raise WorkspaceError(f"{path} is a folder, not a file.")

    async def _siblings(self, folder: str) -> tuple[set[str], set[str]]:
        """Names of the files and of the folders directly in ``folder``."""
        with self._explained(folder or self.location):
            found = await self._store.list_with_delimiter_async(folder or None)
        files = {name_of(meta["path"]) for meta in found["objects"]}
        return files, {name_of(prefix) for prefix in found["common_prefixes"]}

    # ------------------------------------------------------------------ requests

    async def _each(self, work: Callable[[str], Awaitable[T]], paths: Sequence[str]) -> Sequence[T]:
        """The results of ``work`` for every path, in order; raises the first failure among them."""
        gate = asyncio.Semaphore(MAX_REQUESTS)

        async def gated(path: str) -> T:
            async with gate:
                return await work(path)

        results = await asyncio.gather(*(gated(path) for path in paths), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]
        return [result for result in results if not isinstance(result, BaseException)]

    async def _get(self, path: str) -> _Object | None:
        with self._explained(path):
            found = await self._open(path)
            if found is None:
                return None
            if found.meta["size"] > MAX_FILE_BYTES:
                raise WorkspaceError(
                    f"{path} has {found.meta['size']:,} bytes; at most {MAX_FILE_BYTES:,} are read."
                )
            data = bytes(await found.bytes_async())
        token = found.meta["e_tag"]
        if token is None:
            raise WorkspaceError(
                f"{self.location} gives no version marks (ETag), so writing there is not safe."
            )
        return _Object(data, token)

    async def _open(self, path: str) -> GetResult | None:
        try:
            return await self._store.get_async(path)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise
            return None

    async def _head(self, path: str) -> ObjectMeta | None:
        with self._explained(path):
            try:
                return await self._store.head_async(path)
            except FileNotFoundError:
                return None

    def _explained(self, subject: str) -> contextlib.AbstractContextManager[None]:
        return explained(subject, self._bucket, self._endpoint)


def _new_file(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")
