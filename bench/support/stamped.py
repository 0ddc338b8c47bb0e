"""A model whose every piece says when it was sent, and the least that could bring its text into a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator

import httpx

#: Seconds between two pieces: about twenty a second, never in step with anybody's timer.
GAP = (0.02, 0.08)

_PAGE = b"""<!doctype html><title>relay</title><pre id="live"></pre><script>
const source = new EventSource("/events");
source.onmessage = (event) => {
  if (event.data === "[DONE]") return source.close();
  const delta = JSON.parse(event.data).choices[0]?.delta.content;
  if (delta) document.getElementById("live").append(delta);
};
</script>"""


@contextlib.asynccontextmanager
async def stamped_model(pieces: int) -> AsyncIterator[str]:
    """A local server of OpenAI's protocol; its base URL. It answers ``<0@T>``, ``<1@T>`` …, one a line, where T is the
    time of sending in milliseconds since 1970."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(
            int(row.split(b":")[1]) for row in head.lower().split(b"\r\n") if b"content-length:" in row
        )
        await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        gaps = random.Random(7)
        # Time for everybody to be ready for the first one.
        await asyncio.sleep(1.5)
        for number in range(pieces):
            await asyncio.sleep(gaps.uniform(*GAP))
            writer.write(_event({"content": f"<{number}@{time.time() * 1000:.1f}>\n"}, None))
            await writer.drain()
        writer.write(_event({}, "stop") + b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


def _event(delta: dict[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {
        "id": "s",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "stamped",
        "choices": [choice],
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@contextlib.asynccontextmanager
async def relay(model_url: str) -> AsyncIterator[str]:
    """A page and a stream of the model's own bytes, each passed on as it comes; the page's address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        kind = b"text/event-stream" if b"GET /events" in request else b"text/html"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nConnection: close\r\n\r\n")
        if b"GET /events" in request:
            body = {"model": "stamped", "stream": True, "messages": [{"role": "user", "content": "relay"}]}
            async with (
                httpx.AsyncClient(timeout=60, trust_env=False) as client,
                client.stream("POST", f"{model_url}/chat/completions", json=body) as answer,
            ):
                async for part in answer.aiter_bytes():
                    writer.write(part)
                    await writer.drain()
        elif b"GET / " in request:
            writer.write(_PAGE)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
