"""Several files side by side, where one that fails does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from windlass.errors import StepFailed, WindlassError, WorkspaceConflict
from windlass.journal import digest_of
from windlass.step import StepContext
from windlass.steps.answers import usable
from windlass.steps.documents import DocumentState, FileWork


async def each_file(
    ctx: StepContext[DocumentState],
    work: Callable[[StepContext[DocumentState], str, FileWork], Awaitable[None]],
) -> None:
    """Do ``work`` for every file of the state, at most ``concurrency`` at once; failures are noted in each file.

    Every file is worked on to its own end. One that somebody else changed meanwhile is worked on anew, as it is then, when
    the run is resumed. Raises the error itself when no file came through, and at once (after the others have ended) for a
    stop or a lost journal.
    """
    gate = asyncio.Semaphore(ctx.state.options.concurrency)
    files = ctx.state.work

    async def one(key: str) -> None:
        async with gate:
            times = 0
            while ctx.effects.journal.recorded(_changed_at(key, times), _CHANGED):
                times += 1
            try:
                await work(ctx.anew(times), key, files[key])
            except WorkspaceConflict as error:
                await ctx.effects.journal.record(
                    _changed_at(key, times), "changed", _CHANGED, files[key].path, error.what
                )
                raise WorkspaceConflict(error.what, "Resume the run to work on it as it is now.") from error

    results = await asyncio.gather(*(one(key) for key in files), return_exceptions=True)
    if not usable(results):
        raise next(result for result in results if isinstance(result, BaseException))
    for file, result in zip(files.values(), results, strict=True):
        if isinstance(result, WindlassError):
            file.error = result.what if isinstance(result, WorkspaceConflict) else str(result)


_CHANGED = digest_of("changed")


def _changed_at(key: str, times: int) -> str:
    """Where the journal notes that somebody changed the file of ``key`` while it was worked on."""
    return f"files[{key}]/changed[{times}]"


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
