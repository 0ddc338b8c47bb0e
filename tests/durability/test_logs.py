"""The log says what happened and nothing that anybody wrote; the key is nowhere but in the request's own header."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from bench.faults import ANSWERS, answer, settings

from windlass.app import App
from windlass.errors import InputError
from windlass.events import Event
from windlass.logs import RunLog, log_fields
from windlass.testing.server import Answer, Fault, OpenAIServer, Request

KEY = "sk-planted-key-3141592653589793"
ASKED = "planted words of the requirement"
SAID = "planted words of the model"


async def test_no_prompt_reply_error_text_or_key_reaches_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    failed: list[int] = []

    def planted(request: Request) -> Answer | Fault:
        if not failed:
            failed.append(request.number)
            return Fault("status", status=500, message=f"cannot do: {ASKED}")
        reply = answer(request)
        if request.step == "summary_step":
            return Answer(SAID)
        if request.step == "requirement_step":
            return Answer(json.dumps({"acceptance_criteria": [SAID], "open_questions": []}))
        if request.step == "implementation_step[slug.py]" and len(failed) == 1:
            failed.append(request.number)
            return Answer(f"{SAID}: I cannot write that file.")
        return reply

    log = tmp_path / "run.log"
    workspace = tmp_path / "work"
    workspace.mkdir()
    with OpenAIServer(planted) as server:
        made = settings(tmp_path / "home", server.base_url, log=log)
        made.models["flaky"].api_key_env = "OPENAI_API_KEY"
        app = App(made)
        record = await app.create_run("coding", ASKED, str(workspace), {"requirement": ASKED, "yes": True})
        record = await app.execute(record.run_id)
        assert record.status.value == "Success", record.error
        assert {r.request.headers["authorization"] for r in server.records} == {f"Bearer {KEY}"}
        await app.close()
    text = log.read_text()
    for secret in (
        KEY,
        ASKED,
        SAID,
        "cannot",
        *(line for a in ANSWERS.values() for line in a.splitlines() if len(line) > 20),
    ):
        assert secret not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"at", "run", "event"} <= line.keys() for line in lines)
    assert lines[0]["status"] == "Started"
    assert lines[-1]["status"] == "Success"
    # The failed attempt and every finished call are there, with what they cost.
    assert [line["failure"] for line in lines if line["event"] == "notice"] == ["ModelUnavailable"]
    calls = [line for line in lines if line["event"] == "call"]
    assert len(calls) == len(ANSWERS) + 1
    assert all(call["cost_usd"] and call["prompt"].startswith("coding.") for call in calls)
    # A few lines a step.
    by_path = Counter(str(line.get("step_path") or line.get("path", "")).partition("/")[0] for line in lines)
    assert max(by_path.values()) <= 6
    # Nor is the key anywhere in the database.
    database = (tmp_path / "home" / "windlass.db").read_bytes()
    assert KEY.encode() not in database
    rows = (
        sqlite3.connect(tmp_path / "home" / "windlass.db")
        .execute("SELECT options, error FROM runs")
        .fetchall()
    )
    assert rows[0][0]


def test_a_field_nobody_thought_of_stays_out() -> None:
    event = Event("call", "r", {"path": "s/model[0]", "reply": "words", "messages": ["words"]}, seq=1)
    assert log_fields(event) == {"path": "s/model[0]"}
    assert log_fields(Event("notice", "r", {"text": "words", "path": "s"}, seq=2)) is None
    assert log_fields(Event("a_new_event", "r", {"text": "words"}, seq=3)) is None


def test_a_log_that_cannot_be_opened_or_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"log file .* cannot be opened"):
        RunLog(tmp_path)
    full = RunLog(Path("/dev/full"))
    full.on_event(Event("run_status", "r", {"status": "Started"}, seq=1))
    full.on_event(Event("run_status", "r", {"status": "Success"}, seq=2))
    full.close()
    kept = RunLog(tmp_path / "log")
    kept.on_event(Event("run_status", "r", {"status": "Success"}, seq=2))
    kept.close()
    assert json.loads((tmp_path / "log").read_text())["status"] == "Success"
