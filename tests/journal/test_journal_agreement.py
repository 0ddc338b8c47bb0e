"""Any sequence of calls gives the same answers from the journal in memory and from the one in a database."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.journal.journals import Clock, entry, run
from windlass.errors import WindlassError
from windlass.events import Event, WorkflowStatus
from windlass.journal import EntryState, Journal, Lease, MemoryJournal
from windlass.store.base import Database
from windlass.store.journal import SqlJournal

RUNS = ["abcd-1", "abce-2", "bbcd-1"]
OWNERS = ["me", "you"]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(max_size=20)
    | st.just("long text, ü " * 90),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "$text", "$json", "$as-is"]), inner, max_size=2)
    ),
    max_leaves=8,
)
paths = st.sampled_from(["a", "b/model[0]", "b/model[1]"])
run_ids = st.sampled_from(RUNS)
#: Which lease to use: the newest that was given out (mostly), the first, or one that never was.
leases = st.sampled_from(["newest", "newest", "newest", "first", "made up"])

calls = st.one_of(
    st.tuples(st.just("tick"), st.sampled_from([1, 20, 40])),
    st.tuples(st.just("acquire"), st.sampled_from([*RUNS, "abc", "d-1", "last", "bbcd"]), st.sampled_from(OWNERS)),
    st.tuples(st.sampled_from(["renew", "release"]), run_ids, leases),
    st.tuples(
        st.sampled_from(["claim", "settle"]), run_ids, leases, paths, st.integers(1, 2),
        st.sampled_from(list(EntryState)), json_values, json_values,
    ),
    st.tuples(st.just("partial"), run_ids, leases, paths, st.text(max_size=9)),
    st.tuples(st.just("answer"), run_ids, paths, json_values),
    st.tuples(st.just("update"), run_ids, leases, st.sampled_from(list(WorkflowStatus))),
    st.tuples(st.just("cancel"), st.sampled_from([*RUNS, "none-such"])),
    st.tuples(st.just("event"), run_ids, leases, json_values),
    st.tuples(st.just("delete"), st.just(RUNS[0])),
    st.tuples(st.just("fork"), run_ids, st.lists(paths, max_size=2)),
)  # fmt: skip


class Driver:
    """Makes the calls on one journal and notes what each gave."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.journal = journal
        self.clock = clock
        self.seq = 0
        self.leases: dict[str, list[Lease]] = {}
        self.forks = 0

    async def begin(self) -> None:
        for run_id in RUNS:
            self.clock.now += 1
            await self.journal.create_run(run(run_id))
        await self.make(("acquire", RUNS[0], "me"))

    async def make(self, call: tuple[Any, ...]) -> Any:
        try:
            return await self._make(*call)
        except (WindlassError, KeyError) as error:
            return type(error).__name__

    async def _make(self, name: str, *given: Any) -> Any:
        journal = self.journal
        match name, given:
            case "tick", (seconds,):
                self.clock.now += seconds
                return None
            case "acquire", (run_id, owner):
                taken = await journal.acquire(run_id, owner)
                self.leases.setdefault(taken.run_id, []).append(taken)
                return taken
            case "cancel", (run_id,):
                return await journal.request_cancel(run_id)
            case "delete", (run_id,):
                return await journal.delete_run(run_id)
            case "answer", (run_id, path, value):
                return await journal.answer(run_id, entry(path, run_id=run_id, result=value))
            case "fork", (run_id, keep):
                self.forks += 1
                await journal.get_run(run_id)
                return await journal.fork(run_id, run(f"fork-{self.forks}"), keep=keep)
        run_id, which, *rest = given
        held = self.leases.get(run_id)
        if which == "made up" or not held:
            lease = Lease(run_id, "me", 7)
        else:
            lease = held[-1 if which == "newest" else 0]
        match name, rest:
            case "renew", []:
                return await journal.renew(lease)
            case "release", []:
                return await journal.release(lease)
            case "update", [status]:
                return await journal.update_run(lease, status=status, error="e", pins={"x": status.value})
            case "partial", [path, text]:
                return await journal.save_partial(lease, path, 1, text)
            case "event", [value]:
                self.seq += 1
                return await journal.append_events(
                    lease, [Event("notice", run_id, {"value": value}, self.seq, 1.0)]
                )
            case "claim" | "settle", [path, attempt, state, request, result]:
                one = entry(path, run_id=run_id, attempt=attempt, state=state, request=request, result=result)
                return await (journal.claim if name == "claim" else journal.settle)(lease, one)
        raise AssertionError(name)

    async def everything(self) -> list[Any]:
        listed = await self.journal.list_runs(limit=1000)
        return [
            (one, await self.journal.entries(one.run_id), await self.journal.events(one.run_id))
            for one in listed
        ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(calls, max_size=25))
def test_the_journals_agree(sequence: list[tuple[Any, ...]], migrated_sqlite: Path) -> None:
    async def compare() -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(migrated_sqlite, Path(folder) / "windlass.db")
            database = Database(f"sqlite:///{folder}/windlass.db")
            clocks = Clock(), Clock()
            in_memory = Driver(MemoryJournal(clocks[0]), clocks[0])
            in_sql = Driver(SqlJournal(database, clock=clocks[1]), clocks[1])
            for driver in (in_memory, in_sql):
                await driver.begin()
            for call in sequence:
                assert await in_sql.make(call) == await in_memory.make(call), call
            assert await in_sql.everything() == await in_memory.everything()
            await in_sql.journal.close()
            database.close()

    asyncio.run(compare())


def test_the_calls_cover_the_interesting_answers() -> None:
    """The strategy reaches lost leases and living owners, else agreement would say little."""
    outcomes: set[str] = set()

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(sequence=st.lists(calls, max_size=25))
    def collect(sequence: list[tuple[Any, ...]]) -> None:
        async def drive() -> None:
            clock = Clock()
            driver = Driver(MemoryJournal(clock), clock)
            await driver.begin()
            for call in sequence:
                outcomes.add(f"{call[0]}: {type(await driver.make(call)).__name__}")

        asyncio.run(drive())

    collect()
    assert {"acquire: Lease", "acquire: str", "claim: NoneType", "claim: str", "renew: RunRecord"} <= outcomes
