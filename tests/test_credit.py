"""How a run's end counts for the prompt versions it used."""

from __future__ import annotations

import pytest

from windlass.credit import outcome_of, usages_of
from windlass.errors import (
    BudgetExceeded,
    InputError,
    ModelRefused,
    ModelUnavailable,
    ReplyError,
    StepFailed,
    StoreBusy,
    WorkspaceConflict,
)
from windlass.events import WorkflowStatus
from windlass.ids import sha256_hex
from windlass.journal import MemoryJournal, RunJournal, RunRecord


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (StepFailed("Tests still fail."), "fail"),
        (ReplyError("no_file", "No file."), "fail"),
        (ZeroDivisionError("a fault of ours"), "fail"),
        (ModelUnavailable("429"), "error"),
        (ModelRefused("wrong key"), "error"),
        (BudgetExceeded("spent"), "error"),
        (StoreBusy("locked"), "error"),
        (WorkspaceConflict("changed"), "error"),
        (InputError("no model"), "error"),
    ],
)
def test_an_outage_is_no_evidence_against_a_prompt(failure: Exception, outcome: str) -> None:
    assert outcome_of(WorkflowStatus.Failure, failure) == outcome


def test_success_passes_and_a_cancelled_run_counts_for_nothing() -> None:
    assert outcome_of(WorkflowStatus.Success, None) == "pass"
    assert outcome_of(WorkflowStatus.Cancelled, None) == "cancelled"


async def test_usages_carry_the_texts_of_finished_calls_only() -> None:
    journal = MemoryJournal()
    await journal.create_run(RunRecord("run-1", "coding", "t"))
    mine = await RunJournal.open(journal, await journal.acquire("run-1", "me"))
    template = "Say {{what}}"
    await journal.put_blobs(mine.lease, [template.encode()])
    fields = {
        "prompt_name": "p",
        "prompt_version": 3,
        "template_sha256": sha256_hex(template),
        "provenance": "db",
    }
    request = {"messages": [{"role": "user", "content": "Say hello"}]}
    done = await mine.claim("step/model[0]", "model", "d", request, **fields)
    await mine.finish(done, {}, model="m", input_tokens=5, output_tokens=2)
    failed = await mine.claim("step/model[1]", "model", "d", request, **fields)
    await mine.fail(failed, "429")
    (usage,) = await usages_of(mine)
    assert (usage.template, usage.rendered, usage.version_no) == (template, "Say hello", 3)
    assert (usage.step_path, usage.call_path, usage.tokens_in) == ("step", "step/model[0]", 5)


@pytest.mark.parametrize(
    ("began", "ended", "took"), [(100.0, 100.5, 500), (0.0, 1.8e9, None), (50.0, 20.0, None)]
)
async def test_a_clock_that_was_set_during_a_call_tells_no_time(
    began: float, ended: float, took: int | None
) -> None:
    journal = MemoryJournal()
    await journal.create_run(RunRecord("run-1", "coding", "t"))
    times = iter([began, ended])
    mine = await RunJournal.open(journal, await journal.acquire("run-1", "me"), clock=lambda: next(times))
    await journal.put_blobs(mine.lease, [b"Say it"])
    request = {"messages": [{"role": "user", "content": "Say it"}]}
    call = await mine.claim("step/model[0]", "model", "d", request, template_sha256=sha256_hex("Say it"))
    await mine.finish(call, {})
    (usage,) = await usages_of(mine)
    assert usage.latency_ms == took
