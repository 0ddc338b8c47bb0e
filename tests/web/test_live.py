"""Events over Socket.IO: everything once and in order, whoever drops out; and clients of the original."""

from __future__ import annotations

import json
import os
import socket as sockets
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.page_tools import node, npm_package
from tests.web.serving import (
    PATIENCE,
    Answer,
    OpenAIServer,
    Served,
    Talk,
    serving,
    settings_for,
    wait_for,
    wait_for_end,
)
from tests.web.wire import Wire
from windlass.events import Event

LONG = "".join(f"word{n:03d} " for n in range(60)) + "Ω😀 end"
#: So long that nobody has to hurry; what has been seen enough of is let come at once.
ENDLESS = "Ω😀 " + "".join(f"word{n:05d} " for n in range(6_000)) + "Ω😀 end"


@pytest.fixture
def slowly(talk: Talk) -> Iterator[Talk]:
    """A model that takes its time."""
    usual, talk.answer = talk.answer, Answer(LONG, chunk=8, seconds_per_chunk=0.01)
    yield talk
    talk.answer = usual


class Watcher:
    """A client as docs/reference/http-api.md asks for it: applies events once, joins streamed text by its offset."""

    def __init__(self, served: Served, run_id: str) -> None:
        self.served, self.run_id = served, run_id
        self.applied: list[dict[str, Any]] = []
        self.texts: dict[str, str] = {}
        self.ended = False
        self.wire = self._connect()

    @property
    def last(self) -> int:
        return self.applied[-1]["event_id"] if self.applied else 0

    def _connect(self) -> Wire:
        wire = Wire(self.served)
        ack = wire.call("subscribe", {"run": self.run_id, "since": self.last})
        for row in ack["events"]:
            self._apply(row["name"], row)
        for row in ack["texts"]:
            self.texts[row["path"]] = row["text"]
        return wire

    def _apply(self, name: str, payload: dict[str, Any]) -> None:
        assert payload["run_id"] == self.run_id
        if name == "text":
            known = self.texts.get(payload["path"], "").encode("utf-16-le")
            assert payload["offset"] * 2 <= len(known), "text is missing"
            new = payload["delta"].encode("utf-16-le")[len(known) - payload["offset"] * 2 :]
            self.texts[payload["path"]] = (known + new).decode("utf-16-le")
        elif name == "text_reset":
            self.texts.pop(payload["path"], None)
        elif payload["event_id"] > self.last:
            self.applied.append({"name": name, **payload})
            if name == "run_status" and payload["status"] != "Started":
                self.ended = True

    def step(self) -> str:
        name, payload = self.wire.next()
        self._apply(name, payload)
        return name

    def reconnect(self) -> None:
        self.wire.drop()
        self.wire = self._connect()

    def to_the_end(self) -> None:
        while not self.ended:
            self.step()
        self.wire.close()


def test_every_event_once_and_in_order_though_the_connection_is_lost(
    served: Served, client: httpx.Client, slowly: Talk
) -> None:
    slowly.answer = Answer(ENDLESS, chunk=8, seconds_per_chunk=0.01)
    run_id = served.start(client)
    watcher = Watcher(served, run_id)
    for _ in range(4):
        while watcher.step() != "text":
            pass
        watcher.reconnect()
    joined = dict(watcher.texts)
    slowly.hurry()
    watcher.to_the_end()
    stored = client.get(f"/api/runs/{run_id}/events").json()["events"]
    assert watcher.applied == stored
    assert [row["event_id"] for row in stored] == list(range(1, len(stored) + 1))
    assert joined["chat_step"] and ENDLESS.startswith(joined["chat_step"])
    assert watcher.texts["chat_step"] == ENDLESS, "text joined across five connections is the whole text"


def test_late_and_early_watchers_see_the_same(served: Served, client: httpx.Client, slowly: Talk) -> None:
    run_id = served.start(client)
    early, also = Watcher(served, run_id), Watcher(served, run_id)
    early.to_the_end()
    also.to_the_end()
    late = Watcher(served, run_id)
    assert late.applied == early.applied == also.applied
    late.wire.close()


def test_payloads_hold_the_originals_keys(served: Served, client: httpx.Client) -> None:
    run_id = served.start(client)
    watcher = Watcher(served, run_id)
    watcher.to_the_end()
    plans = [row for row in watcher.applied if row["name"] == "send_workflow"]
    assert set(plans[0]["workflow"]) == {"version", "workflow_name", "status", "steps"}
    assert plans[0]["workflow"]["version"] == "1.0"
    step = plans[0]["workflow"]["steps"][0]
    assert {"step_id", "module", "description", "parameters", "status", "response"} <= set(step)
    updates = [row for row in watcher.applied if row["name"] == "update_workflow_step"]
    statuses = [row["status"] for row in updates if "status" in row]
    assert statuses in (["in-progress", "streaming", "finished"], ["in-progress", "finished"])
    assert [row["response"] for row in updates if "response" in row] == ["Hello there."]
    assert all(row["step"] == 1 for row in updates)


def test_the_list_page_hears_of_all_runs(served: Served, client: httpx.Client) -> None:
    wire = Wire(served)
    assert wire.call("subscribe", {"run": "*"}) == {"events": [], "last": 0}
    run_id = served.start(client)
    seen = [wire.next() for _ in range(2)]
    assert [(name, p["run_id"], p["status"]) for name, p in seen] == [
        ("run_status", run_id, "Started"),
        ("run_status", run_id, "Success"),
    ]
    wire.close()


@pytest.mark.parametrize(
    "payload",
    [(), (None,), ("x",), ({},), ({"run": 5},), ({"run": "01nosuchrun"},), ({"run": "last"},), ({"run": ""},),
     ({"run": "01nosuchrun", "since": -1},), ({"run": "01nosuchrun", "since": "1"},), ({"run": ["*"]},), (1, 2, 3)],
)  # fmt: skip
def test_nonsense_gets_a_sentence(served: Served, payload: tuple[Any, ...]) -> None:
    wire = Wire(served)
    for name in ("subscribe", "unsubscribe", "start_stream"):
        if (
            name == "unsubscribe"
            and payload
            and isinstance(payload[0], dict)
            and isinstance(payload[0].get("run"), str)
        ):
            continue
        answer = wire.call(name, *payload)
        assert set(answer) == {"error"} and answer["error"].endswith("."), (name, answer)
    wire.close()


def test_one_connection_watches_so_many_runs_and_asks_so_often(
    served: Served, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.web.live._asked, "per_second", 0.001)
    run_id = served.start(client)
    wait_for_end(client, run_id)
    wire = Wire(served)
    answers = [wire.call("subscribe", {"run": run_id}) for _ in range(80)]
    assert "events" in answers[0] and "error" in answers[-1]
    wire.close()


def test_a_client_that_never_reads_is_cut_off_and_others_are_not(
    served: Served, client: httpx.Client
) -> None:
    run_id = served.start(client)
    wait_for_end(client, run_id)
    reader = Wire(served)
    reader.call("subscribe", {"run": run_id, "since": 10_000})
    deaf = Wire(served)
    deaf.call("subscribe", {"run": run_id, "since": 10_000})
    deaf.line.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    # Stops its reading thread for good: from here on the kernel's buffers fill, then the server's.
    over = threading.Event()
    deaf.line.protocol.receive_data = lambda data: over.wait(PATIENCE)  # type: ignore[assignment,method-assign]
    loop, feed = served.web._loop, served.web.feed
    assert loop is not None
    for number in range(4000):
        event = Event("text", run_id, {"step": 1, "path": f"p{number}", "delta": "x" * 20_000})
        loop.call_soon_threadsafe(feed.on_event, event)
        name, payload = reader.next()
        assert name == "text" and payload["path"] == f"p{number}"
        if served.web.metrics.values["windlass_slow_clients_total"]:
            break
    else:
        pytest.fail("80 MB were kept for a client that never reads")
    assert number < 2500
    wait_for(lambda: served.web.live.connections == 1, why="the deaf client to be gone")
    feed._streams.clear()
    over.set()
    reader.close()


def test_a_stream_that_nobody_reads_is_cut_off(served: Served, client: httpx.Client, slowly: Talk) -> None:
    slowly.answer = Answer(ENDLESS, chunk=8, seconds_per_chunk=0.01)
    run_id = served.start(client)
    loop, feed, services = served.web._loop, served.web.feed, served.web.services
    assert loop is not None

    def cut_off() -> float:
        return sum(services.metrics.values["windlass_slow_clients_total"].values())

    before = cut_off()
    try:
        with sockets.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE) as deaf:
            deaf.sendall(
                f"GET /api/runs/{run_id}/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {served.token}"
                "\r\nAccept: text/event-stream\r\n\r\n".encode()
            )
            wait_for(lambda: services.readers.get(run_id), why="the stream to begin")
            text = "x" * 20_000
            for number in range(4000):
                event = Event("text", run_id, {"step": 1, "path": f"p{number}", "delta": text})
                loop.call_soon_threadsafe(feed.on_event, event)
            wait_for(lambda: cut_off() > before, why="the client that does not read to be cut off")
            wait_for(lambda: not services.readers.get(run_id), why="its stream to be gone")
    finally:
        slowly.hurry()
    assert wait_for_end(client, run_id)["status"] == "Success"
    feed._streams.clear()


def test_runs_of_the_command_line_are_seen_live(
    served: Served, client: httpx.Client, model: OpenAIServer, slowly: Talk, tmp_path: Path
) -> None:
    slowly.answer = Answer(LONG, chunk=8, seconds_per_chunk=0.05)
    home = served.app.settings.home
    env = {
        "PATH": os.environ["PATH"],
        "WINDLASS_HOME": str(home),
        "WINDLASS_MODEL": "openai-chat:test-model",
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_API_KEY": "sk-nothing",
    }
    wire = Wire(served)
    wire.call("subscribe", {"run": "*"})
    command = [str(Path(sys.executable).with_name("windlass")), "run", "chat", "hello", "--yes", "--quiet"]
    process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        name, payload = wire.next()
        assert (name, payload["status"]) == ("run_status", "Started")
        watcher = Watcher(served, payload["run_id"])
        assert watcher.last >= 1
        watcher.to_the_end()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
    stored = client.get(f"/api/runs/{payload['run_id']}/events").json()["events"]
    assert watcher.applied == stored
    assert wire.next()[1]["status"] == "Success"
    wire.close()


#: Written to the original's events with python-socketio, and nothing of ours but the token that lets it in.
PYTHON_CLIENT = """
import json, os, sys, threading
import socketio

url, headers, payload = json.loads(sys.argv[1])
client, seen, ended = socketio.Client(), [], threading.Event()
for name in ("send_workflow", "update_workflow_step", "response", "error"):
    client.on(name, lambda data, name=name: seen.append((name, data)))

@client.on("stream_end")
def stream_end(data=None):
    seen.append(("stream_end", data))
    ended.set()

client.connect(url, headers=headers, wait_timeout=60)
client.emit("start_stream", payload)
ended.wait(60)
print(json.dumps(seen), flush=True)
os._exit(0)
"""


def original(served: Served, payload: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a python-socketio client written for the original sees from ``start_stream`` on."""
    given = json.dumps([served.url, served.headers, payload])
    done = subprocess.run(
        [sys.executable, "-c", PYTHON_CLIENT, given], capture_output=True, text=True, timeout=PATIENCE * 3
    )
    assert done.returncode == 0, done.stderr
    return [tuple(row) for row in json.loads(done.stdout)]


def check_original(seen: list[tuple[str, Any]], text: str) -> None:
    names = [name for name, _ in seen]
    assert names[0] == "send_workflow" and names[-2:] == ["response", "stream_end"]
    plan = seen[0][1]["workflow"]
    assert [step["step_id"] for step in plan["steps"]] == list(range(1, len(plan["steps"]) + 1))
    steps: dict[int, list[str]] = {}
    for name, data in seen:
        if name == "update_workflow_step":
            steps.setdefault(data["step"], []).extend([data["status"]] if "status" in data else [])
    assert all(statuses[-1] == "finished" for statuses in steps.values()) and steps
    assert seen[-2][1]["response"] == text


def test_a_python_client_of_the_original_runs_unchanged(served: Served) -> None:
    seen = original(served, {"prompt": "Hi", "tags": {"workflow": "chat"}, "files": [], "messages": []})
    check_original(seen, "Hello there.")
    earlier = seen[0][1]["run_id"]
    check_original(
        original(served, {"prompt": "Go on", "tags": {}, "files": [], "messages": [earlier]}), "Hello there."
    )
    failed = original(served, {"prompt": "Hi", "tags": {"model": "nonesuch"}})
    assert [name for name, _ in failed] == ["error", "stream_end"] and "nonesuch" in failed[0][1]["error"]


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]])
def test_an_npm_client_of_the_original_runs_unchanged(served: Served, transports: list[str]) -> None:
    script = """
        const { io } = require("socket.io-client");
        const [url, token, transports] = JSON.parse(process.argv[1]);
        const socket = io(url, { transports, extraHeaders: { Authorization: `Bearer ${token}` } });
        const seen = [];
        for (const name of ["send_workflow", "update_workflow_step", "response", "error"])
            socket.on(name, (data) => seen.push([name, data]));
        socket.on("stream_end", (data) => {
            seen.push(["stream_end", data]);
            console.log(JSON.stringify(seen));
            socket.close();
        });
        socket.on("connect_error", (error) => { console.error(error.message); process.exit(1); });
        socket.on("connect", () => socket.emit("start_stream", { prompt: "Hi", tags: {}, files: [], messages: [] }));
    """
    done = subprocess.run(
        [node(), "-e", script, json.dumps([served.url, served.token, transports])],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(npm_package("socket.io-client").parent)},
    )
    assert done.returncode == 0, done.stderr
    check_original([tuple(row) for row in json.loads(done.stdout)], "Hello there.")


def test_a_stopped_server_hands_its_runs_back_and_the_next_one_takes_them_up(
    own: tuple[Path, Path, str], model: OpenAIServer, slowly: Talk, tmp_path: Path
) -> None:
    home, root, base_url = own
    asked_to_stop = tmp_path / "asked to stop"
    slowly.answer = Answer(LONG, until=str(asked_to_stop))
    before = model.count()
    with serving(settings_for(home, base_url), root, places=1) as first, first.client() as client:
        under_way = first.start(
            client, workflow="write", prompt="a.txt", options={"to": "a.txt", "yes": True}
        )
        waiting = first.start(client)
        watcher = Watcher(first, under_way)
        while watcher.step() != "text":
            pass
        asked = model.count() - before
        stopping = threading.Thread(target=first.stop)
        stopping.start()
        wait_for(lambda: first.web.crew.closing, why="the server to know that it ends")
        asked_to_stop.touch()
        stopping.join()
    assert asked == 1
    app = first.app.__class__(settings_for(home, base_url))
    runs = {r.run_id: r for r in __import__("asyncio").run(_records(app))}
    assert runs[under_way].status == "Started" and runs[under_way].owner is None
    assert runs[waiting].status == "Pending" and runs[waiting].owner is None
    slowly.answer = Answer("a.txt\n```\ntext\n```\n")
    with serving(settings_for(home, base_url), root) as second, second.client() as client:
        calls = client.get(f"/api/runs/{under_way}/calls").json()
        assert calls[0]["state"] == "done", "the call under way had been let finish"
        assert wait_for_end(client, under_way)["status"] == "Success"
        assert wait_for_end(client, waiting)["status"] == "Success"
        again = [
            c for c in client.get(f"/api/runs/{under_way}/calls").json() if c["path"] == calls[0]["path"]
        ]
        assert len(again) == 1, "and is not paid for again"


async def _records(app: Any) -> list[Any]:
    try:
        found: list[Any] = await app.journal.list_runs()
        return found
    finally:
        await app.close()
