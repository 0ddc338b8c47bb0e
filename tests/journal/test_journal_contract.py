"""What every journal promises, on all of them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.journal.journals import Clock, entry, full_entry, run
from windlass.effects import spent_so_far
from windlass.errors import JournalError, LeaseLost, NotFound, RunOwnedElsewhere
from windlass.events import Event, WorkflowStatus
from windlass.ids import sha256_hex
from windlass.journal import EntryState, Journal, Lease
from windlass.report import usage_of


async def owned(journal: Journal, run_id: str = "run-0001", **fields: Any) -> Lease:
    await journal.create_run(run(run_id, **fields))
    return await journal.acquire(run_id, "me")


async def test_a_run_reads_back_as_it_was_made(journal: Journal, clock: Clock) -> None:
    made = run(
        options={"model": "main", "files": ["a.py"], "text": "long " * 500},
        pins={"prompts": {"design": 3}},
        workspace="somewhere",
        parent_run="run-0000",
        summary="fine",
        error="not fine",
        status=WorkflowStatus.Waiting,
        finished_at=3.5,
    )
    await journal.create_run(made)
    assert await journal.get_run("run-0001") == made.evolve(created_at=clock.now, updated_at=clock.now)


async def test_an_entry_reads_back_in_full(journal: Journal) -> None:
    lease = await owned(journal)
    await journal.claim(lease, full_entry())
    assert await journal.entries("run-0001") == [full_entry()]


async def test_settling_replaces_the_attempt_and_keeps_its_place(journal: Journal) -> None:
    lease = await owned(journal)
    first, second = entry("a"), entry("b")
    retry = entry("a", attempt=2)
    for one in (first, second, retry):
        await journal.claim(lease, one)
    settled = first.evolve(state=EntryState.DONE, result={"text": "done"}, finished_at=4.0)
    await journal.settle(lease, settled)
    assert await journal.entries("run-0001") == [settled, second, retry]


async def test_what_is_done_is_never_written_over(journal: Journal) -> None:
    lease = await owned(journal)
    await journal.claim(lease, entry("a"))
    done = entry("a", state=EntryState.DONE, result={"text": "paid for"})
    await journal.settle(lease, done)
    await journal.settle(lease, entry("a", state=EntryState.UNKNOWN, error="cut off"))
    await journal.claim(lease, entry("a", state=EntryState.DONE, result={"text": "another"}))
    assert await journal.entries("run-0001") == [done]


async def test_a_settled_attempt_keeps_the_long_request_it_was_claimed_with(journal: Journal) -> None:
    lease = await owned(journal)
    claimed = entry(request={"messages": [{"role": "user", "content": "long " * 1000}]})
    await journal.claim(lease, claimed)
    settled = claimed.evolve(state=EntryState.UNKNOWN, result={"text": "reply " * 500})
    await journal.settle(lease, settled)
    assert await journal.entries("run-0001") == [settled]
    # Settled once more, with another request: that one is kept.
    other = settled.evolve(request={"messages": ["other " * 300]})
    await journal.settle(lease, other)
    assert await journal.entries("run-0001") == [other]


async def test_blobs_come_with_the_claim_that_points_to_them_or_not_at_all(
    journal: Journal, clock: Clock
) -> None:
    lost = await owned(journal)
    clock.now += 31
    lease = await journal.acquire("run-0001", "you")
    with pytest.raises(LeaseLost):
        await journal.claim(lost, entry(), blobs=[b"of a dead owner"])
    with pytest.raises(NotFound):
        await journal.get_blob(sha256_hex(b"of a dead owner"))
    contents = [b"one", b"two" * 5000]
    await journal.claim(lease, entry(), blobs=contents)
    assert [await journal.get_blob(sha256_hex(content)) for content in contents] == contents


async def test_partial_text_is_kept_until_the_attempt_is_settled(journal: Journal) -> None:
    lease = await owned(journal)
    await journal.claim(lease, entry())
    await journal.save_partial(lease, "step/model[0]", 1, "half a rep")
    await journal.save_partial(lease, "step/model[0]", 2, "an attempt nobody made")
    assert [e.partial for e in await journal.entries("run-0001")] == ["half a rep"]
    await journal.settle(lease, entry(state=EntryState.DONE, result="the reply"))
    assert [e.partial for e in await journal.entries("run-0001")] == [None]


async def test_a_living_lease_keeps_others_out(journal: Journal, clock: Clock) -> None:
    lease = await owned(journal)
    with pytest.raises(RunOwnedElsewhere, match="me"):
        await journal.acquire("run-0001", "you")
    clock.now += 29
    await journal.renew(lease)
    clock.now += 29
    with pytest.raises(RunOwnedElsewhere):
        await journal.acquire("run-0001", "you")
    clock.now += 2
    assert (await journal.acquire("run-0001", "you")).epoch == lease.epoch + 1


async def test_every_write_of_a_lost_lease_is_refused(journal: Journal, clock: Clock) -> None:
    old = await owned(journal)
    await journal.claim(old, entry())
    clock.now += 31
    new = await journal.acquire("run-0001", "you")
    before = await journal.get_run("run-0001"), await journal.entries("run-0001")
    writes = [
        journal.claim(old, entry("other")),
        journal.settle(old, entry(state=EntryState.DONE)),
        journal.save_partial(old, "step/model[0]", 1, "text"),
        journal.append_events(old, [Event("notice", "run-0001", {}, 1)]),
        journal.put_blobs(old, [b"content of a dead owner"]),
        journal.update_run(old, status=WorkflowStatus.Success),
        journal.renew(old),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            await write
    await journal.release(old)
    assert (await journal.get_run("run-0001"), await journal.entries("run-0001")) == before
    assert await journal.events("run-0001") == []
    with pytest.raises(NotFound):
        await journal.get_blob(sha256_hex(b"content of a dead owner"))
    await journal.settle(new, entry(state=EntryState.DONE))


async def test_a_lost_lease_costs_its_neighbours_in_the_group_nothing(journal: Journal, clock: Clock) -> None:
    lost = await owned(journal, "run-lost")
    clock.now += 31
    await journal.acquire("run-lost", "you")
    kept = [await owned(journal, f"run-{n:04}") for n in range(20)]
    leases = [*kept[:10], lost, *kept[10:]]
    outcomes = await asyncio.gather(
        *(journal.claim(lease, entry(run_id=lease.run_id)) for lease in leases), return_exceptions=True
    )
    assert [type(o) for o in outcomes if o is not None] == [LeaseLost]
    assert isinstance(outcomes[10], LeaseLost)
    assert await journal.entries("run-lost") == []
    for lease in kept:
        assert len(await journal.entries(lease.run_id)) == 1


async def test_releasing_lets_the_next_one_in_at_once(journal: Journal) -> None:
    lease = await owned(journal)
    await journal.release(lease)
    assert (await journal.get_run("run-0001")).owner is None
    assert await journal.acquire("run-0001", "you") == Lease("run-0001", "you", 2)
    with pytest.raises(LeaseLost):
        await journal.claim(lease, entry())


async def test_a_request_to_cancel_reaches_the_owner_with_its_renewal(journal: Journal) -> None:
    lease = await owned(journal)
    assert (await journal.renew(lease)).cancel_requested is False
    await journal.request_cancel("0001")
    assert (await journal.renew(lease)).cancel_requested is True


async def test_a_request_to_cancel_is_seen_by_those_it_is_for(journal: Journal) -> None:
    runs = [f"run-{number:04}" for number in range(30)]
    for run_id in runs:
        await owned(journal, run_id)
    asked = {"run-0003", "run-0017"}
    for run_id in asked:
        await journal.request_cancel(run_id)
    said = await asyncio.gather(*(journal.cancel_requested(run_id) for run_id in [*runs, "run-gone"]))
    assert {run_id for run_id, yes in zip(runs, said, strict=False) if yes} == asked
    assert said[-1] is False
    # What was asked before is no answer to what is asked now.
    await journal.request_cancel("run-0004")
    assert await journal.cancel_requested("run-0004")


async def test_one_that_gives_up_asking_takes_nobody_s_answer_along(journal: Journal) -> None:
    await owned(journal)
    await journal.request_cancel("run-0001")
    first = asyncio.create_task(journal.cancel_requested("run-0001"))
    second = asyncio.create_task(journal.cancel_requested("run-0001"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second


async def test_changes_of_a_run_come_together(journal: Journal, clock: Clock) -> None:
    lease = await owned(journal)
    clock.now += 5
    await journal.update_run(
        lease, status=WorkflowStatus.Failure, error="no luck", summary="s", pins={"a": 1}, finished_at=9.0
    )
    changed = await journal.get_run("run-0001")
    assert (changed.status, changed.error, changed.summary) == (WorkflowStatus.Failure, "no luck", "s")
    assert (changed.pins, changed.finished_at, changed.updated_at) == ({"a": 1}, 9.0, clock.now)
    with pytest.raises(TypeError):
        await journal.update_run(lease, colour="red")


async def test_runs_are_found_by_beginning_end_and_last(journal: Journal, clock: Clock) -> None:
    for run_id in ("abcd-one", "abce-two", "Abcd-three"):
        await journal.create_run(run(run_id))
        clock.now += 1
    assert (await journal.get_run("last")).run_id == "Abcd-three"
    assert (await journal.get_run("abcd")).run_id == "abcd-one"
    assert (await journal.get_run("-two")).run_id == "abce-two"
    for nobodys in ("abc", "none-such", "%%%%", "____", "abcd_"):
        with pytest.raises(NotFound, match="No run is called"):
            await journal.get_run(nobodys)
    await journal.create_run(run("abcd-four"))
    assert await unclear(journal, "abcd") == (
        "More than one run's id begins with 'abcd': abcd-four and abcd-one; type one of these ids, or its end."
    )
    assert (await journal.get_run("abcd-one", whole=True)).run_id == "abcd-one"
    for part in ("last", "abcd", "abcd-o", "-two", "ABCD-one", ""):
        with pytest.raises(NotFound, match=f"No run is called '{part}'"):
            await journal.get_run(part, whole=True)


async def unclear(journal: Journal, part: str) -> str:
    """What is said about a part of an id that several runs share."""
    with pytest.raises(NotFound) as raised:
        await journal.get_run(part)
    return str(raised.value)


async def test_runs_that_share_a_part_of_an_id_are_named(journal: Journal, clock: Clock) -> None:
    for run_id in ("01m7z-a-same", "01m7z-b-same", "01m7z-c-same", "01m7z-d-xxxx"):
        await journal.create_run(run(run_id))
        clock.now += 1
    assert await unclear(journal, "01m7z") == (
        "More than one run's id begins with '01m7z', such as 01m7z-d-xxxx, 01m7z-c-same and 01m7z-b-same; type one of "
        "these ids, or its end."
    )
    assert await unclear(journal, "-same") == (
        "More than one run's id ends with '-same': 01m7z-c-same, 01m7z-b-same and 01m7z-a-same; type one of these ids, "
        "or its beginning."
    )
    await journal.create_run(run("-same-again"))
    assert (await unclear(journal, "-same")).startswith(
        "More than one run's id begins or ends with '-same', such as "
    )


async def test_runs_are_listed_newest_first_by_status_and_search(journal: Journal, clock: Clock) -> None:
    titles = ["Größe ÄNDERN", "100% of it", "plain"]
    for number, title in enumerate(titles):
        status = WorkflowStatus.Success if number else WorkflowStatus.Waiting
        await journal.create_run(run(f"run-{number}", title=title, status=status))
        clock.now += 1
    listed = [r.run_id for r in await journal.list_runs()]
    assert listed == ["run-2", "run-1", "run-0"]
    assert [r.run_id for r in await journal.list_runs(limit=1)] == ["run-2"]
    assert [r.run_id for r in await journal.list_runs(status=[WorkflowStatus.Waiting])] == ["run-0"]
    assert await journal.list_runs(status=[]) == []
    assert [r.run_id for r in await journal.list_runs(search="ändern")] == ["run-0"]
    assert [r.run_id for r in await journal.list_runs(search="0% o")] == ["run-1"]
    assert [r.run_id for r in await journal.list_runs(search="CODING", limit=2)] == ["run-2", "run-1"]
    await journal.create_run(run("run-3", title="plain", workflow="chat"))
    assert [r.run_id for r in await journal.list_runs(workflow="chat")] == ["run-3"]
    assert [r.run_id for r in await journal.list_runs(workflow="coding", from_id="run-1")] == [
        "run-2",
        "run-1",
    ]
    assert [r.run_id for r in await journal.list_runs(search="plain", from_id="run-3")] == ["run-3"]
    assert await journal.list_runs(from_id="run-4") == []


async def test_events_come_back_in_order_after_a_number(journal: Journal) -> None:
    lease = await owned(journal)
    sent = [Event("notice", "run-0001", {"text": f"{n} " * 400}, n, float(n)) for n in range(1, 8)]
    await journal.append_events(lease, sent[:3])
    await journal.append_events(lease, sent[3:])
    assert await journal.events("run-0001") == sent
    assert await journal.events("run-0001", since=4) == sent[4:]
    assert await journal.events("run-0001", since=1, limit=2) == sent[1:3]
    assert await journal.events("run-none") == []


async def test_blobs_are_found_by_their_hash(journal: Journal) -> None:
    lease = await owned(journal)
    contents = [b"", b"\x00\xff" * 9, b"a" * 100_000, b""]
    keys = await journal.put_blobs(lease, contents)
    assert keys == [sha256_hex(content) for content in contents]
    assert [await journal.get_blob(key) for key in keys] == contents
    for wrong in (sha256_hex("no such"), "no hash at all"):
        with pytest.raises(NotFound):
            await journal.get_blob(wrong)


async def test_an_answer_needs_no_lease_and_is_given_once(journal: Journal) -> None:
    await owned(journal, status=WorkflowStatus.Waiting)
    given = entry("gate", kind="answer", state=EntryState.DONE, result={"answer": "yes " * 300})
    await journal.answer("0001", given)
    with pytest.raises(JournalError, match="gate"):
        await journal.answer("run-0001", given.evolve(result={"answer": "no"}))
    assert await journal.entries("run-0001") == [given]


async def test_a_fork_takes_over_what_is_kept_and_done(journal: Journal) -> None:
    lease = await owned(journal)
    done = entry("a", state=EntryState.DONE, result="r" * 2000)
    for one in (
        entry("a", state=EntryState.FAILED),
        done.evolve(attempt=2),
        entry("b", state=EntryState.DONE),
        entry("c"),
    ):
        await journal.claim(lease, one)
    await journal.fork("run-0001", run("run-0002", parent_run="run-0001"), keep=["c", "a"])
    await journal.delete_run("run-0001")
    (taken,) = await journal.entries("run-0002")
    assert taken == done.evolve(attempt=2).taken_over("run-0002")
    assert (taken.run_id, taken.result, taken.copied_from) == ("run-0002", done.result, "run-0001")
    assert (await journal.get_run("run-0002")).parent_run == "run-0001"


async def test_a_fork_pays_nothing_for_what_another_run_did(journal: Journal) -> None:
    lease = await owned(journal)
    paid = entry(
        "a", state=EntryState.DONE, cost_usd=Decimal("0.5"), reserved_usd=Decimal("2"), input_tokens=7
    )
    dark = entry("b", state=EntryState.DONE, reserved_usd=Decimal("2"))
    read = entry("c", state=EntryState.DONE, kind="read")
    for one in (paid, dark, read):
        await journal.claim(lease, one)
    await journal.fork("run-0001", run("run-0002"), keep=["a", "b", "c"])
    await journal.fork("run-0002", run("run-0003"), keep=["a", "b", "c"])
    for run_id in ("run-0002", "run-0003"):
        entries = await journal.entries(run_id)
        assert [(e.cost_usd, e.reserved_usd) for e in entries] == [(0, None), (0, None), (None, None)]
        # A fork of a fork names the run that did it.
        assert {e.copied_from for e in entries} == {"run-0001"}
        assert entries[0].input_tokens == 7
        assert spent_so_far(entries) == 0
        assert usage_of(entries)["requests"] == 0
    assert (await journal.entries("run-0001"))[0] == paid


async def test_a_deleted_run_is_gone_and_its_owner_writes_nothing_more(journal: Journal) -> None:
    lease = await owned(journal)
    await journal.claim(lease, entry())
    await journal.append_events(lease, [Event("notice", "run-0001", {}, 1)])
    await journal.delete_run("run-0001")
    with pytest.raises(LeaseLost):
        await journal.claim(lease, entry("b"))
    with pytest.raises(NotFound):
        await journal.get_run("run-0001")
    assert await journal.entries("run-0001") == []
    assert await journal.events("run-0001") == []


async def test_a_cancelled_caller_does_not_take_its_write_back(journal: Journal) -> None:
    lease = await owned(journal)
    for number in range(20):
        task = asyncio.create_task(journal.claim(lease, entry(f"path[{number}]")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await journal.close()
    assert [e.path for e in await journal.entries("run-0001")] == [f"path[{n}]" for n in range(20)]
