"""The API as a program uses it: start, look, follow, steer."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.web.serving import Answer, Served, Talk, serving, settings_for, status_of, wait_for, wait_for_end
from windlass.store.base import Database


def sse(response: httpx.Response) -> list[tuple[str | None, str, dict[str, Any]]]:
    """The events of a stream: id, name, data."""
    found: list[tuple[str | None, str, dict[str, Any]]] = []
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            found.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
            fields = {}
    return found


def test_a_run_from_start_to_end(served: Served, client: httpx.Client) -> None:
    run_id = served.start(client, prompt="Tell me about Ölsand.")
    run = wait_for_end(client, run_id)
    assert run["status"] == run["display_status"] == "Success"
    assert run["usage"]["requests"] == 1
    assert run["options"]["message"] == "Tell me about Ölsand."
    assert run["command"].startswith("windlass run chat 'Tell me about Ölsand.' --workspace ")
    assert [(step["path"], step["step"], step["status"]) for step in run["steps"]] == [
        ("chat_step", 1, "finished")
    ]
    assert run["steps"][0]["output_tokens"] > 0

    rows = client.get("/api/runs", params={"search": "ölSAND"}).json()["runs"]
    assert [row["run_id"] for row in rows] == [run_id]
    assert rows[0]["requests"] == 1 and rows[0]["tokens"] > 0 and rows[0]["cost_usd"] == 0

    call = client.get(f"/api/runs/{run_id}/calls").json()[0]
    whole = client.get(f"/api/runs/{run_id}/call", params={"path": call["path"]}).json()
    assert whole["reply"] == "Hello there."
    assert "Ölsand" in whole["messages"][0]["content"]
    assert whole["prompt"]["version"] == 1 and whole["prompt"]["template"]
    assert client.get(f"/api/runs/{run_id}/call", params={"path": "elsewhere"}).status_code == 404


def test_pages_of_runs_hold_each_run_once(served: Served, client: httpx.Client) -> None:
    started = [served.start(client, prompt=f"Paging {n}") for n in range(5)]
    for run_id in started:
        wait_for_end(client, run_id)
    seen: list[str] = []
    page: dict[str, Any] = {"next": None}
    while True:
        params = {"limit": 2, "search": "paging"} | ({"before": page["next"]} if page["next"] else {})
        page = client.get("/api/runs", params=params).json()
        seen += [row["run_id"] for row in page["runs"]]
        if page["next"] is None:
            break
    assert seen == sorted(started, reverse=True)
    of = client.get("/api/runs", params={"status": "Failure,running", "search": "paging"}).json()
    assert of == {"runs": [], "next": None}
    assert client.get("/api/runs", params={"status": "lost"}).status_code == 400
    assert client.get("/api/runs", params={"before": "nosuchrun"}).status_code == 404


def test_events_as_json_and_as_a_stream_are_the_same(served: Served, client: httpx.Client) -> None:
    run_id = served.start(client)
    with client.stream("GET", f"/api/runs/{run_id}/events", headers={"Accept": "text/event-stream"}) as live:
        assert live.headers["content-type"].startswith("text/event-stream")
        streamed = sse(live)
    stored = client.get(f"/api/runs/{run_id}/events").json()
    assert [int(number) for number, _, _ in streamed if number] == [e["event_id"] for e in stored["events"]]
    assert [data for number, _, data in streamed if number] == stored["events"]
    assert stored["last"] == len(stored["events"])
    assert streamed[-1][1] == "run_status" and streamed[-1][2]["status"] == "Success"
    text = "".join(data["delta"] for _, name, data in streamed if name == "text")
    assert text in ("", "Hello there."), "streamed text comes whole or, to one who came late, not at all"

    middle = stored["last"] // 2
    rest = client.get(f"/api/runs/{run_id}/events", params={"since": middle}).json()["events"]
    assert rest == stored["events"][middle:]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(middle)}
    with client.stream("GET", f"/api/runs/{run_id}/events", headers=headers) as live:
        assert [data for _, _, data in sse(live)] == rest
    headers["Last-Event-ID"] = str(stored["last"])
    assert client.get(f"/api/runs/{run_id}/events", headers=headers).status_code == 204
    with client.stream(
        "GET",
        f"/api/runs/{run_id}/events",
        params={"since": stored["last"]},
        headers={"Accept": "text/event-stream"},
    ) as live:
        assert sse(live) == []


def test_what_cannot_be_started_is_said_in_a_sentence(
    served: Served, client: httpx.Client, tmp_path: Path
) -> None:
    def refused(**body: Any) -> str:
        before = client.get("/api/runs", params={"limit": 1}).json()["runs"]
        answer = client.post("/api/runs", json={"workflow": "chat", "prompt": "x", **body})
        assert answer.status_code == 400, answer.text
        assert client.get("/api/runs", params={"limit": 1}).json()["runs"] == before
        sentence: str = answer.json()["error"]
        assert sentence.endswith(".") and "\n" not in sentence
        return sentence

    assert "coding" in refused(workflow="juggling")
    assert "empty" in refused(prompt="  ")
    assert "sandbox" in refused(options={"sandbox": "off"})
    assert "USD" in refused(options={"budget": "lots"})
    assert "max_repairs" in refused(workflow="coding", options={"max_repairs": True})
    assert "../secret" in refused(files=["../secret"])
    assert "folder that this server may use" in refused(workspace=str(tmp_path))
    assert "folder that this server may use" in refused(workspace="../..")
    assert "no folder" in refused(workspace="not-there")
    assert "nonesuch" in refused(options={"model": "nonesuch"})
    assert "nonesuch" in refused(options={"tags": {"model": "nonesuch"}})
    assert "'colour'" in refused(options={"tags": {"colour": "red"}})

    root = served.options.roots[0]
    (root / "folder").mkdir()
    (root / "data.bin").write_bytes(b"\0\1")
    before = sorted(root.iterdir())
    assert "There is no file gone.txt in" in refused(files=["gone.txt"])
    assert "There is no file gone.txt in" in refused(options={"references": ["gone.txt"]})
    assert "There is no file test_gone.py in" in refused(
        workflow="coding", options={"tests": ["test_gone.py"]}
    )
    assert "data.bin is a binary file" in refused(files=["data.bin"])
    assert "folder is a folder" in refused(workflow="auto", files=["folder"])
    assert "folder is a folder" in refused(workflow="write", options={"to": "folder"})
    assert "no command 'nosuchcmd'" in refused(workflow="coding", options={"test_command": "nosuchcmd"})
    # No folder was left behind for a coding run either.
    assert sorted(root.iterdir()) == before


def test_a_gate_is_answered_and_the_run_goes_on(served: Served, client: httpx.Client, talk: Talk) -> None:
    usual, talk.answer = talk.answer, Answer("notes.txt\n```\nA file of notes.\n```\n")
    try:
        run_id = served.start(
            client,
            workflow="write",
            prompt="Write notes.txt",
            options={"to": "notes.txt", "approve_writes": True},
        )
        run = wait_for_end(client, run_id)
        assert run["status"] == "Waiting", run["error"]
        assert run["waiting_for"]["kind"] == "writes"
        assert "notes.txt" in run["waiting_for"]["detail"]["diff"]
        assert client.post(f"/api/runs/{run_id}/answer", json={"action": "maybe"}).status_code == 422
        none = client.post(f"/api/runs/{run_id}/answer", json={"action": "edit", "text": "Other notes"})
        assert (none.status_code, "approve or reject" in none.text) == (400, True)
        assert client.post(f"/api/runs/{run_id}/answer", json={"action": "approve"}).status_code == 200
        # It still says that it waits until it has been taken up again.
        wait_for(lambda: status_of(client, run_id) == "Success", why="the run to go on")
        assert client.post(f"/api/runs/{run_id}/answer", json={"action": "approve"}).status_code == 409
        assert client.post(f"/api/runs/{run_id}/resume", json={}).status_code == 409
        assert client.post(f"/api/runs/{run_id}/cancel", json={}).status_code == 409
    finally:
        talk.answer = usual
    target = served.options.roots[0] / "notes.txt"
    written = target.read_text()
    assert client.get(f"/api/runs/{run_id}/files").json()[0]["path"] == "notes.txt"
    file = client.get(f"/api/runs/{run_id}/file", params={"path": "notes.txt"}).json()
    assert file["before"] is None and file["after"] == written and file["writes"][0]["kind"] == "write"

    assert client.post(f"/api/runs/{run_id}/undo", json={}).json() == [
        {"path": "notes.txt", "change": "deleted"}
    ]
    assert not target.exists()
    assert client.get(f"/api/runs/{run_id}").json()["undone"] is True
    client.post(f"/api/runs/{run_id}/redo", json={})
    assert target.read_text() == written
    target.write_text("changed by hand")
    assert client.post(f"/api/runs/{run_id}/undo", json={}).status_code == 409
    assert target.read_text() == "changed by hand"


def test_cancel_lets_the_call_finish_and_a_fork_goes_its_own_way(
    served: Served, client: httpx.Client, talk: Talk, tmp_path: Path
) -> None:
    cancelled = tmp_path / "cancelled"
    usual, talk.answer = talk.answer, Answer("slow " * 20, until=str(cancelled))
    try:
        run_id = served.start(client)
        with client.stream(
            "GET", f"/api/runs/{run_id}/events", headers={"Accept": "text/event-stream"}
        ) as live:
            for line in live.iter_lines():
                if line == "event: text":
                    break
            assert client.post(f"/api/runs/{run_id}/cancel", json={}).status_code == 200
        cancelled.touch()
        run = wait_for_end(client, run_id)
    finally:
        cancelled.touch()
        talk.answer = usual
    call = client.get(f"/api/runs/{run_id}/calls").json()[0]
    assert call["state"] == "done", "the reply under way was kept"
    assert run["status"] in ("Cancelled", "Success")
    before = client.get("/api/runs").json()["runs"]
    wrong = client.post(f"/api/runs/{run_id}/fork", json={"from": "chat_step", "model": "nonesuch"})
    assert (wrong.status_code, "nonesuch" in wrong.json()["error"]) == (400, True)
    assert client.get("/api/runs").json()["runs"] == before
    fork = client.post(f"/api/runs/{run_id}/fork", json={"from": "chat_step"})
    assert fork.status_code == 201, fork.text
    new = wait_for_end(client, fork.json()["run_id"])
    assert new["status"] == "Success" and new["parent_run"] == run_id
    assert client.post(f"/api/runs/{run_id}/fork", json={"from": "nowhere"}).status_code == 404


def test_cancel_now_cuts_the_call_off(served: Served, client: httpx.Client, talk: Talk) -> None:
    usual, talk.answer = talk.answer, Answer("slow " * 20_000, chunk=5, seconds_per_chunk=0.02)
    try:
        run_id = served.start(client)
        with client.stream(
            "GET", f"/api/runs/{run_id}/events", headers={"Accept": "text/event-stream"}
        ) as live:
            lines = live.iter_lines()
            for line in lines:
                if line == "event: text":
                    break
            client.post(f"/api/runs/{run_id}/cancel", json={"now": True})
            rest = list(lines)
        assert any('"status": "Cancelled"' in line for line in rest), "the stream tells of the end"
    finally:
        talk.answer = usual
    run = client.get(f"/api/runs/{run_id}").json()
    assert run["status"] == "Cancelled"
    call = client.get(f"/api/runs/{run_id}/calls").json()[0]
    assert call["state"] == "unknown" and call["partial"].startswith("slow ")


def test_prompts_are_edited_switched_and_rolled_back(served: Served, client: httpx.Client) -> None:
    wait_for_end(client, served.start(client))
    name = client.get("/api/prompts").json()[0]["name"]
    before = client.get(f"/api/prompts/{name}").json()
    text = before["versions"][0]["text"] + "\nBe brief."
    added = client.post(f"/api/prompts/{name}/versions", json={"text": text, "note": "shorter"})
    assert added.status_code == 201 and added.json() == {"version": 2}
    diff = client.get(f"/api/prompts/{name}/diff", params={"from": 1, "to": 2}).json()["diff"]
    assert "+Be brief." in diff
    used = client.post(
        f"/api/prompts/{name}/use",
        json={"version": 2, "reason": "try", "expected_revision": before["revision"] - 1},
    )
    assert used.status_code == 409
    now = client.get(f"/api/prompts/{name}").json()
    used = client.post(
        f"/api/prompts/{name}/use", json={"version": 2, "reason": "try", "expected_revision": now["revision"]}
    )
    assert used.status_code == 200 and used.json()["version"] == 2
    shown = client.get(f"/api/prompts/{name}").json()
    assert shown["effective"] == 2 and shown["log"][-1]["reason"] == "try" and shown["log"][-1]["actor"]
    assert client.post(f"/api/prompts/{name}/rollback", json={}).json()["version"] == 1
    assert client.get("/api/prompts/no-such-prompt").status_code == 404
    assert client.post(f"/api/prompts/{name}/versions", json={"text": "{{nonsense}}"}).status_code == 400


def test_shipped_prompts_are_there_before_any_run(own: tuple[Path, Path, str]) -> None:
    home, root, base_url = own
    with serving(settings_for(home, base_url), root) as served, served.client() as client:

        def names() -> set[str]:
            return {row["name"] for row in client.get("/api/prompts").json()}

        wait_for(
            lambda: {"coding.design", "documents.chat", "documents.write_tests"} <= names(), why="prompts"
        )
        shown = client.get("/api/prompts/coding.design").json()
        assert [(row["version"], row["origin"]) for row in shown["versions"]] == [(1, "default")]


def test_a_server_starts_while_its_database_cannot_be_written(own: tuple[Path, Path, str]) -> None:
    home, root, base_url = own
    settings = settings_for(home, base_url, lock_timeout=0.1)
    file = Database(settings.database)
    assert file.engine is not None and file.file is not None
    with closing(sqlite3.connect(file.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with serving(settings, root) as served, served.client() as client:
            assert served.web.introduced is not None
            wait_for(served.web.introduced.done, why="the server to give up on the prompts")
            assert client.get("/api/prompts").json() == []
            other.execute("ROLLBACK")
            assert wait_for_end(client, served.start(client))["status"] == "Success"
            assert "documents.chat" in {row["name"] for row in client.get("/api/prompts").json()}


def test_sums_by_day_model_workflow_and_prompt(served: Served, client: httpx.Client) -> None:
    wait_for_end(client, served.start(client))
    for by in ("day", "model", "workflow", "prompt"):
        rows = client.get("/api/stats", params={"by": by, "days": 2}).json()
        assert rows and sum(row["requests"] for row in rows) >= 1
        assert all(row["cost_usd"] == 0 for row in rows if row["unknown_calls"] == 0)
    assert client.get("/api/stats", params={"by": "mood"}).status_code == 422


def test_meta_models_files_and_metrics(served: Served, client: httpx.Client) -> None:
    meta = client.get("/api/meta").json()
    assert {w["name"] for w in meta["workflows"]} == {
        "coding", "chat", "write", "write-pages", "write-tests", "auto",
    }  # fmt: skip
    assert {f["type"] for w in meta["workflows"] for f in w["fields"]} <= {
        "text",
        "number",
        "files",
        "bool",
        "choice",
    }
    assert client.get("/api/models").json()[0]["name"] == "local"
    root = served.options.roots[0]
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs" / "a.md").write_text("a")
    (root / ".hidden").write_text("h")
    (root / "link.txt").symlink_to("/etc/hostname")
    listed = client.get("/api/files").json()["files"]
    assert "docs/a.md" in listed and ".hidden" not in listed and "link.txt" not in listed
    wait_for_end(client, served.start(client))
    text = client.get("/metrics").text
    assert 'windlass_runs_total{workflow="chat",status="Success"}' in text
    assert 'windlass_http_requests_total{method="GET",route="/api/meta",status="200"}' in text
    assert client.get("/healthz").text == "ok\n" and client.get("/readyz").text == "ready\n"
