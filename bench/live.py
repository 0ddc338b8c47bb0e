"""What live events cost: delivery to many watchers, memory with one that never reads, and the way of a model's token.

    python bench/live.py [--clients 100] [--rate 50] [--seconds 10] [--pieces 200]

Starts the real server as a process, with local servers as its models. All traffic stays on this machine. The many clients
are plain websockets that speak Socket.IO; they run in this process, so their own cost is part of every latency. The last
part needs Debian's Chromium: each piece of a reply says when it was sent, and the browser when it was first among the
text on the page; a page that only appends what a Server-Sent Events relay passes on is the measure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import async_playwright
from websockets.asyncio.client import ClientConnection, connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.support.stamped import relay, stamped_model
from tests.web_page.browser import ARGUMENTS, CHROMIUM

from windlass.testing.server import Answer, OpenAIServer

#: The server under test: the real one, plus a task that says events of a run that nobody works on.
SERVER = """
import asyncio, json, sys, time
from pathlib import Path
from windlass.app import App
from windlass.events import Event
from windlass.settings import ModelSettings, Settings
from windlass.web.process import Process, open_socket
from windlass.web.server import ServerOptions, WebServer

home, port, token, base_url, stamped = sys.argv[1:6]
models = {
    name: ModelSettings(model="openai-chat:test-model", base_url=url, price="free")
    for name, url in (("local", base_url), ("stamped", stamped))
}
app = App(Settings(home=Path(home), model="local", models=models))
server = WebServer(app, ServerOptions(port=int(port), token=token, roots=(Path(home),)))
process = Process(server)

async def said(run_id, rate, seconds, size):
    began, number = time.perf_counter(), 0
    while number < rate * seconds:
        number += 1
        text = {"step": 1, "path": f"p{number % 7}", "delta": "x" * size, "n": number, "sent": time.time()}
        server.feed.on_event(Event("text", run_id, text))
        server.feed._streams.pop(run_id, None)
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))

async def commands():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        run_id, rate, seconds, size = json.loads(line)
        await said(run_id, rate, seconds, size)
        print("said", flush=True)

async def main():
    task = asyncio.create_task(commands())
    await process.serve([open_socket("127.0.0.1", int(port))])
    await app.close()

asyncio.run(main())
"""
TOKEN = "a token for the bench only"


class Server:
    """The server as a process."""

    def __init__(self, home: Path, base_url: str, stamped: str, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(home), str(port), TOKEN, base_url, stamped],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, trust_env=False
        )
        for _ in range(300):
            with contextlib.suppress(httpx.TransportError):
                if self.client.get("/readyz").status_code == 200:
                    return
            time.sleep(0.1)
        raise SystemExit("the server did not start")

    def say(self, run_id: str, rate: int, seconds: float, size: int = 80) -> None:
        """Say events; returns at once."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([run_id, rate, seconds, size]) + "\n")
        self.process.stdin.flush()

    async def said(self) -> None:
        """Return when they have been said."""
        assert self.process.stdout is not None
        await asyncio.to_thread(self.process.stdout.readline)

    def stop(self) -> None:
        """End it as a signal does."""
        assert self.process.stdin is not None
        # Its thread that waits for commands would keep it alive.
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(timeout=60)
        self.client.close()

    def rss(self) -> float:
        """Resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self, prompt: str, model: str = "local") -> str:
        """Start a chat; its id."""
        options = {"yes": True, "model": model}
        answer = self.client.post(
            "/api/runs", json={"workflow": "chat", "prompt": prompt, "options": options}
        )
        answer.raise_for_status()
        run_id: str = answer.json()["run_id"]
        return run_id


@contextlib.asynccontextmanager
async def watching(server: Server, run_id: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A connection that has subscribed to a run."""
    url = server.url.replace("http://", "ws://") + "/socket.io/?EIO=4&transport=websocket"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with connect(
        url, additional_headers=headers, compression=None, close_timeout=0.1, **options
    ) as line:
        await line.recv()
        await line.send("40")
        await line.recv()
        await line.send("420" + json.dumps(["subscribe", {"run": run_id, "since": 0}]))
        while not str(await line.recv()).startswith("430"):
            pass
        yield line


async def read_all(line: ClientConnection, wanted: int) -> list[tuple[int, float]]:
    """The numbers of the events and how long each took (seconds)."""
    seen: list[tuple[int, float]] = []
    while len(seen) < wanted:
        packet = str(await line.recv())
        if packet == "2":
            await line.send("3")
        elif packet.startswith('42["text"'):
            payload = json.loads(packet[2:])[1]
            seen.append((payload["n"], time.time() - payload["sent"]))
    return seen


def percentile(values: list[float], share: float) -> float:
    """In milliseconds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


async def delivery(server: Server, run_id: str, clients: int, rate: int, seconds: float) -> None:
    """All clients get all events in order; how fast."""
    wanted = int(rate * seconds)
    before, cpu = server.rss(), server.cpu()
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(watching(server, run_id)) for _ in range(clients)]
        server.say(run_id, rate, seconds)
        began = time.monotonic()
        got = await asyncio.wait_for(
            asyncio.gather(*(read_all(line, wanted) for line in lines)), seconds * 10
        )
        took = time.monotonic() - began
        await server.said()
        after = server.rss()
    complete = sum([n for n, _ in one] == list(range(1, wanted + 1)) for one in got)
    times = [t for one in got for _, t in one]
    each = (server.cpu() - cpu) / len(times) * 1e6
    print(
        f"{clients} clients x {rate} events/s x {seconds:g} s: {complete}/{clients} got all {wanted} in order; "
        f"p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms, max {max(times) * 1000:.1f} ms; "
        f"took {took:.1f} s; server {each:.0f} us of CPU a delivery; RSS {before:.0f} -> {after:.0f} MB"
    )


async def deaf(server: Server, run_id: str) -> None:
    """A client that never reads must not fill the server's memory: 5 kB x 20,000 events are said to it."""
    before, highest, deliveries = server.rss(), 0.0, 20_000
    async with watching(server, run_id, max_queue=1, max_size=None) as line:
        line.transport.pause_reading()
        server.say(run_id, 2000, deliveries / 2000, 5000)
        done = asyncio.create_task(server.said())
        while not done.done():
            highest = max(highest, server.rss())
            await asyncio.sleep(0.05)
        line.transport.abort()
    cut = "windlass_slow_clients_total 1" in server.client.get("/metrics").text
    print(
        f"a client that never reads, {deliveries} events of 5 kB (100 MB): RSS {before:.0f} -> at most {highest:.0f} MB; "
        f"cut off: {cut}"
    )


#: Notes in the browser when each piece is first among the text that a reader sees.
_LATENESS = r"""() => {
    window.late = {};
    const look = () => {
        for (const row of document.querySelectorAll('#live'))
            for (const [, n, sent] of row.textContent.matchAll(/<(\d+)@([\d.]+)>/g))
                window.late[n] ??= performance.timeOrigin + performance.now() - Number(sent);
    };
    const begin = () => new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
    document.documentElement ? begin() : addEventListener('DOMContentLoaded', begin);
}"""


async def tokens(server: Server, model_url: str, pieces: int) -> None:
    """From the moment that the model sends a piece to the moment that it is in the browser's document."""
    async with relay(model_url) as bare, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        for name in ("bare SSE relay, token to text in Chromium", "windlass, token to text in Chromium"):
            page = await browser.new_page(viewport={"width": 1440, "height": 900})
            await page.add_init_script(f"({_LATENESS})()")
            if name.startswith("bare"):
                await page.goto(bare)
            else:
                link = (await asyncio.to_thread(server.client.post, "/api/launch-links", json={})).json()[
                    "url"
                ]
                await page.goto(link)
                run_id = await asyncio.to_thread(server.run, "tokens", model="stamped")
                await page.goto(f"{server.url}/runs/{run_id}")
            await page.wait_for_function(
                "wanted => Object.keys(window.late).length >= wanted", arg=pieces, timeout=120_000
            )
            late = list((await page.evaluate("window.late")).values())
            print(
                f"{name}: {len(late)}/{pieces} pieces; p50 {statistics.median(late):.0f} ms, "
                f"p99 {percentile(late, 0.99) / 1000:.0f} ms, max {max(late):.0f} ms"
            )
            await page.close()
        await browser.close()


async def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rate", type=int, default=50, help="events a second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--pieces", type=int, default=200, help="of a reply that is watched in Chromium")
    parser.add_argument("--port", type=int, default=8790)
    given = parser.parse_args()
    async with stamped_model(given.pieces) as stamped:
        with tempfile.TemporaryDirectory() as home, OpenAIServer(lambda request: Answer("Done.")) as model:
            await measure(Server(Path(home), model.base_url, stamped, given.port), stamped, given)


async def measure(server: Server, stamped: str, given: argparse.Namespace) -> None:
    """The three parts."""
    try:
        run_id = server.run("bench")
        run: dict[str, Any] = {"status": "Pending"}
        while run["status"] in ("Pending", "Started"):
            await asyncio.sleep(0.1)
            run = server.client.get(f"/api/runs/{run_id}").json()
        if run["status"] != "Success":
            raise SystemExit(f"the first run did not succeed: {run}")
        await delivery(server, run_id, given.clients, given.rate, given.seconds)
        await deaf(server, run_id)
        await tokens(server, stamped, given.pieces)
    finally:
        server.stop()


if __name__ == "__main__":
    asyncio.run(main())
