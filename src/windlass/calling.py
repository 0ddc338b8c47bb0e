"""One model call from the first attempt to the journaled reply: reserve, claim, ask, settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from windlass.budget import Reservation
from windlass.effects import Effects, ModelCall
from windlass.errors import LeaseLost, ModelError, StoreError
from windlass.ids import sha256_hex
from windlass.journal import Entry, EntryState
from windlass.llm.base import BaseLLMIntegration, Reply
from windlass.llm.policy import Asker
from windlass.workspace.shielded import to_the_end

#: A running stream's text is saved this often (seconds).
SAVE_PARTIAL_EVERY = 1.0
#: How long a reply in hand waits for a database that cannot be written now (seconds), beyond what each try waits.
KEEP_REPLY_SECONDS = 300.0


@dataclass
class Caller:
    """Makes calls under a policy. One per process, so that runs share each model's limits."""

    asker: Asker = field(default_factory=Asker)
    #: How long a reply in hand waits for a database that is locked, away or out of space (seconds).
    keep_reply_timeout: float = KEEP_REPLY_SECONDS

    async def call(self, effects: Effects, model: BaseLLMIntegration, call: ModelCall) -> Reply:
        """The reply, committed to the journal before it is given out.

        Cancelling the caller never cancels a reply's journaling: the request is cut off, and what had come is
        kept as an attempt of unknown outcome.
        """
        for candidate in (model, *model.fallbacks):
            effects.budget.check_price(candidate)
        attempts = _Attempts(effects, call, self.keep_reply_timeout)
        stopping = asyncio.create_task(effects.stop.wait())
        task = asyncio.create_task(
            self.asker.ask(
                model,
                call.messages,
                attempts,
                tags=call.tags,
                on_text=attempts.on_text if call.stream else None,
            )
        )
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and not attempts.under_way:
                # Waiting for the next attempt, for a free place or for money: nothing is lost by leaving now.
                await _cancelled(task)
                effects.check_stop()
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # However often somebody asks to stop: the attempt gets its end first.
            await to_the_end(attempts.cut_off(task))
            raise
        except Exception as error:
            # The model's own code broke, where it should have said how the call failed.
            await to_the_end(attempts.broke(error))
            raise
        finally:
            await _cancelled(stopping)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _ended(task: asyncio.Task[Any]) -> None:
    """Return once the task has ended, whoever asks to stop."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # its error was raised where it was waited for, or is told by the claim that stays


@dataclass
class _Attempts:
    """Journals and pays for the attempts of one call; see :class:`windlass.llm.policy.Attempts`."""

    effects: Effects
    call: ModelCall
    keep_reply_timeout: float
    entry: Entry | None = None
    reservation: Reservation | None = None
    #: From before an attempt is claimed until its end is in the journal.
    under_way: bool = False
    text: list[str] = field(default_factory=list)
    saved_at: float = 0.0
    saving: asyncio.Task[None] | None = None
    #: Set while there is text that is not kept yet, or may not be.
    save_later: asyncio.TimerHandle | None = None
    #: The end of an attempt on its way into the journal; it gets there whoever waits for it.
    ending: asyncio.Task[None] | None = None
    #: Nobody waits any more: a database that is away gets no second chance.
    hurried: bool = False

    async def started(self, model: BaseLLMIntegration, number: int) -> None:
        effects, call = self.effects, self.call
        effects.check_stop()
        self.reservation = await effects.budget.reserve(model, call.messages)
        self.under_way = True
        resolved = call.prompt.resolved
        claiming = asyncio.ensure_future(
            effects.journal.claim(
                call.path,
                "model",
                call.digest,
                dict(call.request),
                blobs=effects.not_kept(resolved.content),
                model=model.model_name,
                reserved_usd=self.reservation.amount,
                prompt_name=resolved.name,
                prompt_version=resolved.version_no,
                template_sha256=resolved.template_sha256,
                rendered_sha256=sha256_hex(call.prompt.text),
                provenance=resolved.source,
            )
        )
        try:
            self.entry = await asyncio.shield(claiming)
            effects.kept(resolved.content)
        except BaseException:
            # Also when cancelled: the request was never sent, so nothing of it may count.
            self.ending = asyncio.ensure_future(self._never_sent(claiming, self.reservation))
            await asyncio.shield(self.ending)
            raise
        self.text.clear()
        self.saved_at = time.monotonic()

    async def _never_sent(self, claiming: asyncio.Future[Entry], reservation: Reservation) -> None:
        try:
            await self.effects.journal.fail(
                await claiming, "stopped before it was sent", cost_usd=Decimal(0), reserved_usd=None
            )
        except (StoreError, LeaseLost):
            pass  # no claim was kept; or it is, and whoever opens the run next marks it unknown
        finally:
            await self.effects.budget.settle(reservation, None, paid=False)

    async def succeeded(self, model: BaseLLMIntegration, number: int, reply: Reply) -> None:
        # From here on the reply is paid for, and nothing may come between it and the journal.
        self.ending = asyncio.ensure_future(self._keep(model, reply, *self._ended()))
        await asyncio.shield(self.ending)

    async def _keep(
        self, model: BaseLLMIntegration, reply: Reply, entry: Entry, reservation: Reservation
    ) -> None:
        await self._stop_saving()
        keeping = self._persistently(
            lambda: self.effects.journal.finish(
                entry,
                reply.to_dict(),
                partial=None,
                model=reply.model,
                input_tokens=reply.usage.input_tokens,
                output_tokens=reply.usage.output_tokens,
                cached_tokens=reply.usage.cached_tokens,
                cost_usd=reply.cost_usd,
            )
        )
        kept = await self._settling(keeping, reservation, reply.cost_usd)
        self.effects.log.emit(
            "call",
            {
                "path": self.call.path,
                "step_path": self.call.step_path,
                "model": reply.model,
                "label": model.label,
                "prompt": self.call.prompt.tag,
                "attempt": entry.attempt,
                "input_tokens": reply.usage.input_tokens,
                "output_tokens": reply.usage.output_tokens,
                "cached_tokens": reply.usage.cached_tokens,
                "cost_usd": None if reply.cost_usd is None else str(reply.cost_usd),
                "seconds": round((kept.finished_at or 0) - kept.started_at, 3),
            },
        )

    async def _settling(
        self,
        keeping: Awaitable[Entry],
        reservation: Reservation,
        cost: Decimal | None,
        *,
        paid: bool = True,
    ) -> Entry:
        """The end of an attempt, once it is kept. The money is settled also where it cannot be kept: others of this run
        may wait for what was set aside, and would wait for ever."""
        budget = self.effects.budget
        try:
            kept = await keeping
        except BaseException:
            with suppress(StoreError):
                await budget.settle(reservation, cost, paid=paid)
            raise
        await budget.settle(reservation, cost, paid=paid)
        return kept

    async def _persistently(self, work: Callable[[], Awaitable[Entry]]) -> Entry:
        """Its result, tried again while the database cannot be written: what it keeps was paid for."""
        deadline = time.monotonic() + self.keep_reply_timeout
        told = False
        while True:
            try:
                return await work()
            except StoreError as error:
                if not error.may_pass or self.hurried or time.monotonic() > deadline:
                    raise StoreError(
                        f"{error} The reply to {self.call.path} was paid for and could not be kept."
                    ) from error
                if not told:
                    self.effects.log.at_once(
                        f"{error} A reply that was paid for waits to be kept, for up to "
                        f"{self.keep_reply_timeout:.0f} s; keep this process running.",
                        path=self.call.step_path,
                        failure=type(error).__name__,
                    )
                    told = True
            await asyncio.sleep(1)

    async def failed(
        self, model: BaseLLMIntegration, number: int, error: ModelError, retry_in: float | None
    ) -> None:
        entry, reservation = self._ended()
        self.ending = asyncio.ensure_future(self._fail(model, error, entry, reservation))
        await asyncio.shield(self.ending)
        self.under_way = False
        if retry_in is not None:
            self.effects.log.notice(
                f"{error} Trying again in {retry_in:.0f} s." if retry_in >= 1 else f"{error} Trying again.",
                path=self.call.step_path,
                attempt=entry.attempt,
                failure=type(error).__name__,
                retry_in=round(retry_in, 3),
            )
            self.effects.check_stop()

    async def _fail(
        self, model: BaseLLMIntegration, error: ModelError, entry: Entry, reservation: Reservation
    ) -> None:
        await self._stop_saving()
        paid = getattr(error, "maybe_paid", True)
        usage = getattr(error, "usage", None)
        cost = Decimal(0) if not paid else None if usage is None else model.price.cost(usage)
        keeping = self.effects.journal.fail(
            entry,
            str(error),
            partial=getattr(error, "partial", "") or "".join(self.text) or None,
            cost_usd=cost,
            reserved_usd=reservation.amount if paid else None,
            input_tokens=None if usage is None else usage.input_tokens,
            output_tokens=None if usage is None else usage.output_tokens,
        )
        await self._settling(keeping, reservation, cost, paid=paid)

    def restarted(self) -> None:
        self.effects.log.text_reset(self.call.step_path)

    def on_text(self, delta: str) -> None:
        """A piece of the reply has come."""
        self.text.append(delta)
        self.effects.log.text(self.call.step_path, delta)
        if self.save_later is None:
            # A timer, not the next piece: the text of a stream that stalls is kept too.
            wait = max(0.0, self.saved_at + SAVE_PARTIAL_EVERY - time.monotonic())
            self.save_later = asyncio.get_running_loop().call_later(wait, self._save_now)

    def _save_now(self) -> None:
        self.save_later = None
        if self.saving is not None and not self.saving.done():
            self.save_later = asyncio.get_running_loop().call_later(SAVE_PARTIAL_EVERY, self._save_now)
            return
        self.saved_at = time.monotonic()
        self.saving = asyncio.create_task(self._save_partial())

    async def _save_partial(self) -> None:
        entry = self.entry
        if entry is None:
            return
        try:
            await self.effects.journal.journal.save_partial(
                self.effects.journal.lease, entry.path, entry.attempt, "".join(self.text)
            )
        except (StoreError, LeaseLost):
            # The text is a convenience; the claim and the reply are what counts, and they report for themselves.
            return

    async def _stop_saving(self) -> None:
        if self.save_later is not None:
            self.save_later.cancel()
            self.save_later = None
        if self.saving is not None:
            await asyncio.gather(self.saving, return_exceptions=True)
            self.saving = None

    async def cut_off(self, asking: asyncio.Task[Reply]) -> None:
        """The call is aborted: keep what had come; nobody knows what it cost. An end that was reached is kept as it is."""
        self.hurried = True
        await _cancelled(asking)
        if self.ending is not None:
            await _ended(self.ending)
        await self._broken_off(
            EntryState.UNKNOWN, "cut off by the person who stopped the run; it may have been paid"
        )

    async def broke(self, error: Exception) -> None:
        """What asks the model raised something that says nothing of the attempt under way, if there is one."""
        await self._broken_off(EntryState.FAILED, f"{type(error).__name__}: {error}; it may have been paid")

    async def _broken_off(self, state: EntryState, why: str) -> None:
        if self.entry is None:
            return
        entry, reservation = self._ended()
        await self._stop_saving()
        keeping = self.effects.journal.fail(entry, why, state=state, partial="".join(self.text) or None)
        # The claim stays where this cannot be kept; whoever opens the run next marks it unknown.
        with suppress(LeaseLost, StoreError):
            await self._settling(keeping, reservation, None)

    def _ended(self) -> tuple[Entry, Reservation]:
        """The attempt under way, which is from now on under way no more."""
        entry, self.entry = self.entry, None
        assert entry is not None
        assert self.reservation is not None
        return entry, self.reservation
