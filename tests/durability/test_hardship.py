"""The ground gives way: disk full, database locked, its server restarted, the clock set back. Nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.faults import EXPECTED, answer, settings

from tests.durability.test_control import run, start
from tests.support.postgres import PostgresServer, running_server
from windlass.app import App
from windlass.errors import StoreError
from windlass.events import WorkflowStatus
from windlass.journal import EntryState, MemoryJournal, RunRecord
from windlass.owners import is_dead, is_interrupted, owner_name, take
from windlass.testing.server import Answer, Fault, OpenAIServer, Request

ROOT = Path(__file__).parents[2]

#: Runs in a process of its own, because the limit cannot be taken back: a run whose database may not grow any more.
FULL_DISK = """
import asyncio, json, resource, signal, sys
from bench.faults import answer, settings
from pathlib import Path
from windlass.app import App
from windlass.errors import WindlassError

async def main(home, base_url, run_id, room):
    app = App(settings(Path(home), base_url))
    await app.journal.get_run(run_id)
    largest = max(p.stat().st_size for p in Path(home).iterdir())
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + room, resource.RLIM_INFINITY))
    try:
        record = await app.execute(run_id)
        print(json.dumps({"status": record.status.value, "error": record.error}))
    except WindlassError as error:
        print(json.dumps({"status": None, "error": str(error)}))

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
"""


#: The disk fills up while a reply is on its way; whoever is told frees it, or does not.
FULL_WITH_A_REPLY = """
import asyncio, json, resource, sys
from bench.faults import settings
from pathlib import Path
from tests.durability.test_ends import MESSAGE, Model
from windlass.app import App
from windlass.errors import WindlassError

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main(folder, run_id, frees):
    async def during(on_text):
        room(4000)

    told = []
    def listen(event):
        if event.name == "notice":
            told.append(event.payload["text"])
            if frees:
                room(resource.RLIM_INFINITY)

    model = Model(during)
    app = App(settings(folder / "home", "http://127.0.0.1:9/v1", keep_reply_timeout=60 if frees else 1),
              integrations=dict.fromkeys(("main", "fast", "judge"), model))
    error = None
    try:
        await app.execute(run_id, listeners=[listen], stream=False)
    except WindlassError as raised:
        error = str(raised)
    print(json.dumps({"told": told, "error": error, "requests": model.requests}))

asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "frees"))
"""


async def kept(app: App, run_id: str) -> set[str]:
    return {
        e.path for e in await app.journal.entries(run_id) if e.kind == "model" and e.state is EntryState.DONE
    }


async def test_a_full_disk_is_said_and_nothing_that_was_kept_is_lost(tmp_path: Path) -> None:
    with OpenAIServer(answer) as server:
        app = App(settings(tmp_path / "home", server.base_url))
        record = await start(app, tmp_path)
        await app.close()
        ended = await asyncio.to_thread(
            subprocess.run,
            [
                sys.executable,
                "-c",
                FULL_DISK,
                str(tmp_path / "home"),
                server.base_url,
                record.run_id,
                "40000",
            ],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        )
        told = json.loads(ended.stdout)
        assert told["status"] is None, ended.stderr[-2000:]
        assert "full" in told["error"]
        assert "Traceback" not in ended.stderr
        app = App(settings(tmp_path / "home", server.base_url))
        before = await kept(app, record.run_id)
        asked = server.count()
        done = await app.execute(record.run_id)
        assert done.status is WorkflowStatus.Success
        assert before < await kept(app, record.run_id)
        # Only what was not kept was asked (again).
        assert server.count() - asked == len(await kept(app, record.run_id)) - len(before)
        assert {p.name: p.read_bytes() for p in (tmp_path / "work").iterdir()} == EXPECTED
        await app.close()


@pytest.mark.parametrize("frees", [True, False])
async def test_a_reply_in_hand_waits_for_a_full_disk_and_says_so(tmp_path: Path, frees: bool) -> None:
    app = App(settings(tmp_path / "home", "http://127.0.0.1:9/v1"))
    (tmp_path / "work").mkdir()
    record = await app.create_run("chat", "Hello?", str(tmp_path / "work"), {"message": "Hello?"})
    await app.close()
    ended = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-c",
            FULL_WITH_A_REPLY,
            str(tmp_path),
            record.run_id,
            "frees" if frees else "",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    assert "Traceback" not in ended.stderr
    told = json.loads(ended.stdout)
    assert told["requests"] == 1
    (notice,) = told["told"]
    assert "disk" in notice
    assert "A reply that was paid for waits to be kept, for up to" in notice
    app = App(settings(tmp_path / "home", "http://127.0.0.1:9/v1"))
    (call,) = [e for e in await app.journal.entries(record.run_id) if e.kind == "model"]
    if frees:
        assert call.state is EntryState.DONE
        assert call.result["text"] == "first half, second half"
    else:
        assert call.state is EntryState.CLAIMED
        assert told["error"].endswith(f"The reply to {call.path} was paid for and could not be kept.")
    await app.close()


@pytest.mark.parametrize(("patience", "ends"), [(30.0, "Success"), (0.3, None)])
async def test_a_locked_database_is_waited_for_or_named(
    tmp_path: Path, patience: float, ends: str | None
) -> None:
    """Another program holds SQLite's write lock for a while; thirty seconds with WINDLASS_TEST_FULL=1."""
    seconds = 29.0 if os.environ.get("WINDLASS_TEST_FULL") else 3.0
    with OpenAIServer(answer) as server:
        app = App(settings(tmp_path / "home", server.base_url, lock_timeout=patience))
        record = await start(app, tmp_path)
        locking = sqlite3.connect(tmp_path / "home" / "windlass.db", isolation_level=None)
        locking.execute("BEGIN IMMEDIATE")
        running = asyncio.create_task(app.execute(record.run_id))
        began = time.monotonic()
        while time.monotonic() - began < seconds and not running.done():
            await asyncio.sleep(0.05)
        locking.execute("ROLLBACK")
        locking.close()
        if ends is None:
            with pytest.raises(StoreError, match="locked"):
                await running
        else:
            assert (await running).status.value == ends
        await app.close()
        # Whatever came of it, the run goes on, and nothing is asked twice.
        app = App(settings(tmp_path / "home", server.base_url))
        if ends is None:
            assert (await app.execute(record.run_id)).status is WorkflowStatus.Success
        assert {server.count(step=r.request.step) for r in server.records} == {1}
        await app.close()


def _restart(server: PostgresServer) -> None:
    """One backend is killed; the server then drops every connection, recovers and takes new ones."""
    pids = [
        int(line)
        for line in subprocess.run(
            ["pgrep", "-P", (server.folder / "data" / "postmaster.pid").read_text().split()[0], "-f", "idle"],
            capture_output=True,
            text=True,
        ).stdout.split()
    ]
    assert pids
    os.kill(pids[0], signal.SIGKILL)


async def test_a_postgresql_server_that_starts_anew_is_waited_for(tmp_path: Path) -> None:
    try:
        with running_server() as database:
            restarted: list[float] = []

            def restarting(request: Request) -> Answer | Fault:
                if request.step == "design_step" and not restarted:
                    restarted.append(time.monotonic())
                    _restart(database)
                return answer(request)

            with OpenAIServer(restarting) as server:
                app = App(settings(tmp_path / "home", server.base_url, database_url=database.url()))
                record = await run(app, tmp_path)
                assert record.status is WorkflowStatus.Success, record.error
                assert restarted
                assert {server.count(step=r.request.step) for r in server.records} == {1}
                await app.close()
    except LookupError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def dead_owner() -> str:
    """The name that a process had which is no more."""
    done = subprocess.run(
        [sys.executable, "-c", "from windlass.owners import owner_name; print(owner_name())"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    return done.stdout.strip()


async def test_a_clock_set_back_does_not_lock_a_run_away(tmp_path: Path) -> None:
    now = [2_000_000.0]
    journal = MemoryJournal(lambda: now[0])
    await journal.create_run(RunRecord("run-0001", "w", "t"))
    await journal.acquire("run-0001", dead_owner())
    now[0] -= 86_400
    # Its lease seems to last a day and more, but its process is known to be gone.
    lease = await take(journal, "run-0001", owner_name())
    assert lease.epoch == 3


async def test_who_lives_and_who_does_not() -> None:
    mine, gone = owner_name(), dead_owner()
    assert not is_dead(mine)
    assert is_dead(gone)
    host, pid, machine, started, rest = mine.rsplit(":", 4)
    # The same process id, but another process; another machine or boot: nobody can tell, so the lease decides.
    assert is_dead(f"{host}:{pid}:{machine}:1:{rest}")
    assert not is_dead(f"{host}:{pid}:00000000:1:{rest}")
    assert not is_dead("somebody")
    assert not is_dead(None)
    assert started != "1"
    living = RunRecord("r", "w", "t", WorkflowStatus.Started, owner=mine, lease_until=time.time() + 30)
    assert not is_interrupted(living)
    assert is_interrupted(living.evolve(owner=gone))
    assert is_interrupted(living.evolve(lease_until=time.time() - 1))
    assert not is_interrupted(living.evolve(status=WorkflowStatus.Waiting, owner=None))


def test_a_zombie_owns_nothing() -> None:
    """Killed, but not yet waited for by its parent: it is in the process table and does nothing any more."""
    program = "import sys; from windlass.owners import owner_name; print(owner_name(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert not is_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(name)
