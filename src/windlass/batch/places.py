"""Where the items of a batch work: made, filled and looked at before any run is kept; a batch that is refused leaves none."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from windlass.app import App
from windlass.batch.items import Item
from windlass.errors import BudgetExceeded, InputError, WindlassError, WorkspaceConflict, WorkspaceError
from windlass.journal import RunRecord
from windlass.workspace import Change, Workspace

#: Places that are made ready at a time.
_AT_ONCE = 16


@contextlib.contextmanager
def about(item: Item) -> Iterator[None]:
    """An error of this block says which item it is about."""
    try:
        yield
    except (InputError, WorkspaceError) as error:
        raise InputError(f"{item.told}: {error}") from None
    except BudgetExceeded as error:
        raise BudgetExceeded(f"{item.told}: {error}") from None


class Places:
    """The places of one batch. A block that ends in an error takes back what was made and written in it.

    ``for_others``: other processes work on the runs, and must not begin in an empty folder where this one cannot be seen.
    """

    def __init__(self, app: App, *, for_others: bool) -> None:
        self._app = app
        self._for_others = for_others
        self._folders: set[Path] = set()
        self._written: list[tuple[Workspace, list[Change]]] = []

    async def __aenter__(self) -> Places:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            await self._take_back()

    def make(self, folder: Path) -> None:
        """Make a folder and those above it. InputError where that cannot be done."""
        self._remember(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from None

    async def fill(self, items: Sequence[Item], runs: Sequence[RunRecord]) -> list[RunRecord]:
        """Put every item's files where its run works, and look whether it can; the runs as they are to be kept.

        Raises InputError, naming the item, for the first that cannot.
        """
        limit = asyncio.Semaphore(_AT_ONCE)
        wrong: dict[int, WindlassError] = {}
        ready = list(runs)

        async def one(number: int) -> None:
            async with limit:
                if wrong:
                    return
                try:
                    with about(items[number]):
                        ready[number] = await self._fill(items[number], runs[number])
                except WindlassError as error:
                    wrong[number] = error

        async with asyncio.TaskGroup() as group:
            for number in range(len(items)):
                group.create_task(one(number))
        if wrong:
            raise wrong[min(wrong)]
        return ready

    async def _fill(self, item: Item, run: RunRecord) -> RunRecord:
        texts = {} if run.workflow == "coding" else item.texts
        if run.options["new_folder"]:
            self.make(Path(run.workspace))
            if self._for_others:
                run = run.evolve(options={**run.options, "new_folder": False})
        if texts:
            await self._write(await self._app.workspace(run), Path(run.workspace), texts)
        await self._app.check(run, here=not self._for_others)
        return run

    async def _write(self, workspace: Workspace, root: Path, texts: dict[str, str]) -> None:
        if "://" not in workspace.location:
            for name in texts:
                self._remember((root / name).parent)
        try:
            done = await workspace.apply([Change(name, None, text.encode()) for name, text in texts.items()])
        except WorkspaceConflict:
            there = {name: await workspace.read(name) for name in texts}
            other = next(
                (n for n, found in there.items() if found and found.data != texts[n].encode()), "A file"
            )
            raise InputError(
                f"{other} is in {workspace.location} already, with another text; move it away, or name another place."
            ) from None
        mine = [Change(name, texts[name].encode(), None) for name in done.written]
        self._written.append((workspace, mine))

    def _remember(self, folder: Path) -> None:
        """This folder and those above it are ours where they are not there yet."""
        for one in (folder, *folder.parents):
            if one in self._folders or os.path.lexists(one):
                return
            self._folders.add(one)

    async def _take_back(self) -> None:
        for workspace, changes in self._written:
            with contextlib.suppress(WindlassError):  # somebody else's now, or out of reach
                await workspace.apply(changes)
        for folder in sorted(self._folders, key=lambda one: len(one.parts), reverse=True):
            with contextlib.suppress(OSError):  # not empty, or gone
                folder.rmdir()
