"""Several files side by side, where one that fails does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from windlass.errors import (
    ModelError,
    ReplyError,
    StepFailed,
    WindlassError,
    WorkspaceConflict,
    WorkspaceError,
)
from windlass.journal import digest_of
from windlass.step import StepContext
from windlass.steps.answers import usable
from windlass.steps.documents import DocumentState, FileWork


async def each_file(
    ctx: StepContext[DocumentState],
    work: Callable[[StepContext[DocumentState], str, FileWork], Awaitable[None]],
) -> None:
    """Do ``work`` for every file of the state, at most ``concurrency`` at once; failures are noted in each file.

    Every file is worked on to its own end. One that somebody else changed meanwhile, or after it had failed, is worked on
    anew, as it is then, when the run is resumed. Raises the error itself when no file came through, and at once (after the others have ended) for a
    stop or a lost journal.
    """
    gate = asyncio.Semaphore(ctx.state.options.concurrency)
    files = ctx.state.work

    async def one(key: str) -> None:
        async with gate:
            times = 0
            journal = ctx.effects.journal
            while journal.recorded(_changed_at(key, times), _CHANGED):
                times += 1
            failed = journal.recorded(_failed_at(key, times), _FAILED)
            if failed is not None and failed.result != await _contents(ctx, files[key]):
                await journal.record(_changed_at(key, times), "changed", _CHANGED, files[key].path, _SINCE)
                times += 1
                failed = None
            try:
                await work(ctx.anew(times), key, files[key])
            except WorkspaceConflict as error:
                await journal.record(
                    _changed_at(key, times), "changed", _CHANGED, files[key].path, error.what
                )
                raise WorkspaceConflict(error.what, "Resume the run to work on it as it is now.") from error
            except (ModelError, ReplyError, StepFailed, WorkspaceError):
                if failed is None:
                    seen = await _contents(ctx, files[key])
                    await journal.record(_failed_at(key, times), "failed", _FAILED, files[key].path, seen)
                raise

    results = await asyncio.gather(*(one(key) for key in files), return_exceptions=True)
    if not usable(results):
        raise next(result for result in results if isinstance(result, BaseException))
    for file, result in zip(files.values(), results, strict=True):
        if isinstance(result, WindlassError):
            file.error = result.what if isinstance(result, WorkspaceConflict) else str(result)


_CHANGED, _FAILED = digest_of("changed"), digest_of("failed")
_SINCE = "It was changed after it had failed."


async def _contents(ctx: StepContext[DocumentState], file: FileWork) -> dict[str, str | None]:
    """The hashes of the files that a person may change to have this one go well; None for one that cannot be read."""
    found: dict[str, str | None] = {}
    for name in {file.path, getattr(file, "source", file.path)}:
        try:
            version = await ctx.effects.workspace.read(name)
        except WorkspaceError:
            version = None
        found[name] = None if version is None else version.sha256
    return found


def _changed_at(key: str, times: int) -> str:
    """Where the journal notes that somebody changed the file of ``key`` while it was worked on."""
    return f"files[{key}]/changed[{times}]"


def _failed_at(key: str, times: int) -> str:
    """Where the journal notes what the file of ``key`` held when the work on it failed."""
    return f"files[{key}]/failed[{times}]"


def failures_of(state: DocumentState) -> StepFailed | None:
    """The failure of a run in which some files failed; None when none did."""
    failed = [file for file in state.work.values() if file.error]
    if not failed:
        return None
    names = ", ".join(file.path for file in failed[:5]) + (
        f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    )
    done = len(state.work) - len(failed)
    others = "the other is done" if done == 1 else f"the other {done} are done"
    return StepFailed(
        f"{len(failed)} of {len(state.work)} files failed ({names}); {others}. First: {failed[0].error} "
        "Resume the run to try only what failed again, on the files as they are then."
    )
