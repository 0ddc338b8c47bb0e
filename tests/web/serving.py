"""Runs a real server in a thread of its own, with a local server as its model."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from uvicorn.lifespan.on import LifespanOn

from windlass.app import App
from windlass.settings import ModelSettings, Settings
from windlass.testing.server import Answer, Fault, OpenAIServer, Request
from windlass.web.process import Process, open_socket
from windlass.web.server import ServerOptions, WebServer

#: Long enough for a very busy machine (seconds).
PATIENCE = 60.0
PROMPT = {"workflow": "chat", "prompt": "Say something.", "options": {"yes": True}}


def free_port() -> int:
    """A port that nobody listens to right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def settings_for(home: Path, base_url: str, **more: Any) -> Settings:
    """Settings with one model, which is the local server."""
    model = ModelSettings(model="openai-chat:test-model", base_url=base_url, price="free")
    return Settings(home=home, model="local", models={"local": model}, **more)


class Served:
    """A server that runs until :meth:`stop`. ``app``: the parts of the process, where they are not the usual ones."""

    def __init__(self, settings: Settings, root: Path, *, app: App | None = None, **options: Any) -> None:
        self.options = replace(ServerOptions(port=free_port(), roots=(root,)), **options)
        self.app = app or App(settings)
        self.web = WebServer(self.app, self.options)
        self.process = Process(self.web)
        self.process.config.lifespan = "on"
        self.url = f"http://127.0.0.1:{self.options.port}"
        self.token = self.web.services.access.token
        self._listener = open_socket("127.0.0.1", self.options.port)
        self._up = threading.Event()
        self.process.when_started = self._up.set
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(PATIENCE), "the server did not start"

    def _run(self) -> None:
        async def work() -> None:
            try:
                await self.process.serve([self._listener])
            finally:
                await self.app.close()

        asyncio.run(work())

    def stop(self) -> None:
        """As a signal does it: calls under way finish; returns when the process would be gone."""
        if not self._thread.is_alive():
            return
        self.process.handle_exit(15, None)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the server did not stop"
        lifespan = self.process.lifespan
        assert isinstance(lifespan, LifespanOn) and not lifespan.shutdown_failed, (
            "the server's end went wrong"
        )

    @property
    def headers(self) -> dict[str, str]:
        """What a program sends."""
        return {"Authorization": f"Bearer {self.token}"}

    def client(self, **options: Any) -> httpx.Client:
        """A program that knows the token."""
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=PATIENCE, **options)

    def stranger(self, **options: Any) -> httpx.Client:
        """Somebody who does not."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE, **options)

    def start(self, client: httpx.Client, **body: Any) -> str:
        """Start a run; its id."""
        answer = client.post("/api/runs", json={**PROMPT, **body})
        assert answer.status_code == 201, answer.text
        run_id: str = answer.json()["run_id"]
        return run_id


@contextmanager
def serving(settings: Settings, root: Path, **options: Any) -> Iterator[Served]:
    """A server for the length of a block."""
    served = Served(settings, root, **options)
    try:
        yield served
    finally:
        served.stop()


def wait_for(what: Callable[[], Any], *, why: str) -> Any:
    """What ``what`` gives once it gives something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {why}; last seen: {found!r}")


def status_of(client: httpx.Client, run_id: str) -> str:
    """How a run stands."""
    status: str = client.get(f"/api/runs/{run_id}").json()["status"]
    return status


def wait_for_end(client: httpx.Client, run_id: str) -> dict[str, Any]:
    """The run once it has ended or waits."""

    def look() -> dict[str, Any] | None:
        run: dict[str, Any] = client.get(f"/api/runs/{run_id}").json()
        return run if run["status"] not in ("Pending", "Started") else None

    found: dict[str, Any] = wait_for(look, why=f"run {run_id} to end")
    return found


class Talk:
    """The model's answer to everything."""

    def __init__(self, text: str = "Hello there.") -> None:
        self.answer: Answer | Fault = Answer(text)

    def __call__(self, request: Request) -> Answer | Fault:
        return self.answer

    def hurry(self) -> None:
        """What is left of an answer that is being streamed slowly comes at once."""
        assert isinstance(self.answer, Answer)
        object.__setattr__(self.answer, "seconds_per_chunk", 0.0)


__all__ = [
    "PATIENCE",
    "PROMPT",
    "Answer",
    "OpenAIServer",
    "Served",
    "Talk",
    "free_port",
    "serving",
    "settings_for",
]
