"""A finished run of many steps and much text, written into the journal as the engine would have."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from windlass.app import App
from windlass.events import SEND_WORKFLOW, UPDATE_WORKFLOW_STEP, Event, WorkflowStatus
from windlass.ids import generate_id
from windlass.journal import RunRecord
from windlass.plan import PlanStep, build_plan
from windlass.settings import Settings


def write_long_run(settings: Settings, *, steps: int = 500, characters: int = 5_000_000) -> str:
    """Keep such a run; its id. Each step says its share of the characters, in lines of about 90."""

    async def work() -> str:
        app = App(settings)
        try:
            return await _write(app, steps, characters)
        finally:
            await app.close()

    # In a thread of its own: where Playwright's synchronous API is at work, this one has a running loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work()).result()


async def _write(app: App, steps: int, characters: int) -> str:
    run_id, now = generate_id(), time.time()
    await app.journal.create_run(
        RunRecord(run_id, "write-pages", f"A manual of {steps} chapters", workspace="")
    )
    lease = await app.journal.acquire(run_id, "long-run")
    plan = [PlanStep(f"write_step[{n}]", f"Chapter {n + 1}", "Write a chapter") for n in range(steps)]
    share = characters // steps
    said: list[tuple[str, dict[str, object]]] = [
        ("run_status", {"status": "Started"}),
        (SEND_WORKFLOW, {"workflow": build_plan("Long", plan)}),
    ]
    for number, step in enumerate(plan, 1):
        line = f"Chapter {number}: a line of prose that goes on for a while, as lines of prose do, until it ends.\n"
        text = (line * (share // len(line) + 1))[: share - 1] + "."
        said += [
            (UPDATE_WORKFLOW_STEP, {"step": number, "path": step.path, **change})
            for change in ({"status": "in-progress"}, {"status": "finished"}, {"response": text})
        ]
    said.append(("run_status", {"status": "Success", "summary": "Done.", "error": None}))
    events = [
        Event(name, run_id, {"run_id": run_id, "event_id": seq, **payload}, seq=seq, at=now + seq / 100)
        for seq, (name, payload) in enumerate(said, 1)
    ]
    await app.journal.append_events(lease, events)
    await app.journal.update_run(lease, status=WorkflowStatus.Success, summary="Done.", finished_at=now + 60)
    await app.journal.release(lease)
    return run_id
