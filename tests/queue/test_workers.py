"""Real workers on a real PostgreSQL: killed, stopped and cut off from their database, and what the journal says then."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queue.fleet import PAGES, PATIENCE, WORKER_MODULES, Fleet, judge, pages, sigkill
from tests.support.postgres import PostgresServer, running_server
from tests.workflows.event_machine import check_events
from windlass import queue
from windlass.events import WorkflowStatus
from windlass.queue import Place
from windlass.testing.forks import Forks
from windlass.testing.server import OpenAIServer

pytestmark = pytest.mark.xdist_group("workers")


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks(*WORKER_MODULES) as running:
        yield running


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(pages(0.05)) as running:
        yield running


@pytest.fixture
def fleet(postgres_url: str, tmp_path: Path, server: OpenAIServer, forks: Forks) -> Iterator[Fleet]:
    made = Fleet(postgres_url, tmp_path, server.base_url, forks)
    yield made
    made.end()


async def test_every_run_once_though_a_worker_is_killed_and_the_database_restarts(
    postgres_server: PostgresServer, tmp_path: Path, server: OpenAIServer, forks: Forks
) -> None:
    with running_server() as own:
        fleet = Fleet(own.url(), tmp_path, server.base_url, forks)
        app = fleet.app()
        run_ids = await fleet.submit(app, 24)
        for _ in range(2):
            fleet.start("--concurrency", "4")
        happened: list[str] = []

        def trouble(done: int) -> None:
            if done >= 4 and "kill" not in happened:
                happened.append("kill")
                sigkill(fleet.workers[0])
                fleet.start("--concurrency", "4")
            if done >= 12 and "restart" not in happened:
                happened.append("restart")
                own.stop()
                own.start()

        try:
            await fleet.ended(app, run_ids, trouble)
            verdict = await judge(app, run_ids, server)
        finally:
            fleet.end()
            await app.close()
    assert happened == ["kill", "restart"]
    assert verdict.statuses == {"Success": 24}, fleet.said()
    assert verdict.paid_twice == []
    assert verdict.overlaps == []
    # What was under way at the kill, or came while the database was away for too long, may have been paid: at most one
    # call for each place of the killed worker, and of both when the database went.
    assert verdict.unknown <= 4 + 8
    assert verdict.repeated <= verdict.unknown
    for number in range(24):
        text = (tmp_path / f"run{number}" / "manual.md").read_text()
        assert text.count("Page text for") == PAGES


async def test_a_stopped_worker_keeps_its_calls_and_hands_its_runs_back(
    fleet: Fleet, server: OpenAIServer
) -> None:
    server.handler = pages(1.5)
    app = fleet.app()
    run_ids = await fleet.submit(app, 3)
    first = fleet.start("--concurrency", "3")
    assert await asyncio.to_thread(server.wait_for, "open", number=3, timeout=200)
    first.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait, 200) == 0
    for run_id in run_ids:
        record = await app.journal.get_run(run_id)
        assert record.status is WorkflowStatus.Started
        assert record.owner is None
    server.handler = pages(0.0)
    fleet.start("--concurrency", "3")
    await fleet.ended(app, run_ids)
    verdict = await judge(app, run_ids, server)
    await app.close()
    assert verdict.statuses == {"Success": 3}
    # The calls that were under way finished and were kept: nothing was asked twice, nothing is in doubt.
    assert (verdict.unknown, verdict.repeated, verdict.paid_twice) == (0, 0, [])
    assert len(server.records) == 3 * (PAGES + 2)


async def test_lost_and_stuck_jobs_unreachable_workspaces_and_cancelled_runs(
    fleet: Fleet, server: OpenAIServer
) -> None:
    app = fleet.app()
    lost, stuck, gone, cancelled = await fleet.submit(app, 4)
    later = (
        await queue.submit(
            app, "chat", "later", str(fleet.folder), {"message": "later", "yes": True}, Place(delay=3600)
        )
    ).run_id
    with app.database.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM procrastinate_jobs WHERE queueing_lock = '{lost}'")
        connection.exec_driver_sql(
            f"UPDATE procrastinate_jobs SET status = 'doing' WHERE queueing_lock = '{stuck}'"
        )
    (fleet.folder / "run2").rmdir()
    await app.cancel(cancelled)
    fleet.start("--concurrency", "2")
    await fleet.ended(app, [lost, stuck, gone, cancelled])
    found = {name: await app.journal.get_run(run_id) for name, run_id in
             {"lost": lost, "stuck": stuck, "gone": gone, "cancelled": cancelled, "later": later}.items()}  # fmt: skip
    assert {name: run.status.value for name, run in found.items()} == {
        "lost": "Success", "stuck": "Success", "gone": "Failure", "cancelled": "Cancelled", "later": "Pending",
    }, fleet.said()  # fmt: skip
    assert "cannot reach the workspace" in (found["gone"].error or "")
    assert str(fleet.folder / "run2") in (found["gone"].error or "")
    assert {record.request.run_id for record in server.records} == {lost, stuck}
    for run in found.values():
        if run.status is not WorkflowStatus.Pending:
            check_events(await app.journal.events(run.run_id), run.status.value)
    await app.close()


async def test_who_is_at_work_and_what_waits(fleet: Fleet, server: OpenAIServer) -> None:
    from windlass.queue.crew import backlog, workers_at_work

    server.handler = pages(PATIENCE)  # no reply comes while we look
    app = fleet.app()
    run_ids = await fleet.submit(app, 3)
    worker = fleet.start("--concurrency", "1", "--queues", "runs,slow")
    assert await asyncio.to_thread(server.wait_for, "open", timeout=200)
    with app.database.reading() as connection:
        (state,) = workers_at_work(connection)
        waiting = backlog(connection)
    assert (state.status, state.pid, list(state.sign.queues)) == (
        "working",
        str(worker.pid),
        ["runs", "slow"],
    )
    assert len(state.holds) == 1 and set(state.holds) <= set(run_ids)
    assert [(name, number) for name, number, _ in waiting] == [("runs", 2)]
    # A second signal does not wait for the call.
    worker.send_signal(signal.SIGTERM)
    await fleet.until_said("Stopping")
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 200) == 0
    with app.database.reading() as connection:
        assert workers_at_work(connection) == []
        assert [number for _, number, _ in backlog(connection)] == [3]
    await app.close()
