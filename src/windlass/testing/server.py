"""A real local HTTP server that speaks OpenAI's chat-completions protocol, and breaks it on request.

In a test::

    with OpenAIServer(lambda request: Answer("hello")) as server:
        ...  # base_url=server.base_url
    assert server.count() == 1

As a process of its own, for tests that kill the client (prints its base URL on the first line)::

    python -m windlass.testing.server --answers answers.json --log requests.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, TextIO

from windlass.testing import protocol
from windlass.testing.answers import Answers
from windlass.testing.protocol import Answer, Fault, FaultKind, Handler, Request

__all__ = ["Answer", "Fault", "FaultKind", "Handler", "OpenAIServer", "Record", "Request"]

Outcome = Literal["open", "answered", "failed", "disconnected"]


@dataclass
class Record:
    """One chat request and what became of it; times are ``time.time()``.

    ``outcome``: ``open`` while it is being answered, ``answered`` when the last byte was handed over, ``failed`` when
    a fault was played to its end, ``disconnected`` when the client left first.
    """

    request: Request
    arrived: float
    finished: float | None = None
    outcome: Outcome = "open"
    chunks: int = 0


class OpenAIServer:
    """Serves in a thread of its own between ``__enter__`` and ``__exit__``.

    ``handler`` may be replaced while it runs. ``port`` 0 takes any free one. ``log`` gets a JSON line when a request
    arrives and one when it ends.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        models: Sequence[str] = ("test-model",),
        log: TextIO | None = None,
    ) -> None:
        self.handler = handler
        self.records: list[Record] = []
        #: Highest number of chat requests that were being answered at one moment.
        self.peak = 0
        self._host = host
        self._port = port
        self._models = models
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._changed = threading.Condition()
        self._failure: BaseException | None = None

    @property
    def base_url(self) -> str:
        """What to set as base URL: ``http://127.0.0.1:PORT/v1``."""
        return f"http://{self._host}:{self._port}/v1"

    def count(
        self, *, step: str | None = None, text: str | None = None, outcome: Outcome | None = None
    ) -> int:
        """How many chat requests came, all or those of a step path, holding a text, with an outcome."""
        return sum(
            (step is None or record.request.step == step)
            and (text is None or text in record.request.text)
            and (outcome is None or record.outcome == outcome)
            for record in list(self.records)
        )

    def wait_for(self, outcome: Outcome, *, number: int = 1, timeout: float = 10.0) -> bool:
        """Wait until ``number`` requests have that outcome; False when ``timeout`` seconds pass first.

        Blocks the thread: from async code call it with ``asyncio.to_thread``.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self.count(outcome=outcome) >= number, timeout)

    def __enter__(self) -> OpenAIServer:
        self._thread = threading.Thread(target=self._run, name="openai-test-server", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self.serve())
        except OSError as error:  # the port is taken: report it in the thread that wants to know
            self._failure = error
            self._ready.set()

    async def serve(self, on_ready: Callable[[str], object] = lambda url: None) -> None:
        """Serve until stopped; ``on_ready`` is called once with the base URL."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, self._host, self._port, backlog=1024)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        on_ready(self.base_url)
        await self._stop.wait()
        server.close()
        # Since Python 3.12 wait_closed() waits for every connection, and stalled ones never end by themselves.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one_request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        if method == "GET" and path.endswith("/models"):
            await _send(writer, 200, protocol.model_list(self._models))
            return True
        if method != "POST" or not path.endswith("/chat/completions"):
            body = Fault("status", message=f"no such endpoint: {method} {path}").error_body()
            await _send(writer, 404, json.dumps(body).encode())
            return True
        record = Record(Request(len(self.records) + 1, method, path, headers, json.loads(raw)), time.time())
        self.records.append(record)
        self._note(record, "arrived")
        with self._closing(record):
            return await self._until_disconnected(reader, self._answer(record, writer))

    async def _until_disconnected(
        self, reader: asyncio.StreamReader, answer: Coroutine[None, None, bool]
    ) -> bool:
        answering = asyncio.ensure_future(answer)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                return answering.result()
            raise ConnectionResetError("the client left before the answer was complete")
        finally:
            for task in (answering, gone):
                task.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)

    @contextlib.contextmanager
    def _closing(self, record: Record) -> Iterator[None]:
        self.peak = max(self.peak, self.count(outcome="open"))
        try:
            yield
        except (ConnectionError, asyncio.CancelledError):
            if record.outcome == "open":
                record.outcome = "disconnected"
            raise
        finally:
            record.finished = time.time()
            self._note(record, "finished")

    def _note(self, record: Record, event: str) -> None:
        with self._changed:
            self._changed.notify_all()
        if self._log is not None:
            request = record.request
            line = {
                "event": event,
                "number": request.number,
                "time": record.finished or record.arrived,
                "run": request.run_id,
                "step": request.step,
                "model": request.model,
                "outcome": record.outcome,
            }
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()

    async def _answer(self, record: Record, writer: asyncio.StreamWriter) -> bool:
        """Answer; True when the connection may be used again."""
        request = record.request
        try:
            reply = self.handler(request)
        except (
            Exception
        ) as error:  # a test's handler may hold a failing assertion; the client must not hang on it
            reply = Fault("status", message=f"the test's handler failed: {error!r}")
        answer = reply if isinstance(reply, Answer) else reply.answer
        await asyncio.sleep(answer.delay)
        if isinstance(reply, Fault):
            reusable = await self._fail(record, reply, writer)
            record.outcome = "failed"
            return reusable
        if request.stream:
            await self._begin_stream(writer)
            await self._stream(record, answer, writer, limit=None)
            while answer.until is not None and not Path(answer.until).exists():  # noqa: ASYNC110 - a file sends no event
                await asyncio.sleep(0.01)
            for event in protocol.ending(request, answer):
                await _chunk(writer, event)
            await _end(writer)
        else:
            await _send(writer, 200, protocol.completion(request, answer))
        record.outcome = "answered"
        return True

    async def _fail(self, record: Record, fault: Fault, writer: asyncio.StreamWriter) -> bool:
        request = record.request
        if fault.kind == "status":
            extra = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            await _send(writer, fault.status, json.dumps(fault.error_body()).encode(), extra)
            return True
        if fault.kind == "raw":
            await _send(writer, 200, fault.body.encode())
            return True
        if not request.stream:
            return await _fail_plain(request, fault, writer)
        if fault.kind != "stall" or fault.after_chunks:
            await self._begin_stream(writer)
            await self._stream(record, fault.answer, writer, limit=fault.after_chunks)
        if fault.kind == "stall":
            await asyncio.Event().wait()
        if fault.kind in ("drop", "reset"):
            _hang_up(writer, reset=fault.kind == "reset")
            return False
        if fault.kind == "cut":
            await _chunk(writer, next(protocol.ending(request, fault.answer))[:40])
        elif fault.kind == "malformed":
            await _chunk(writer, b'data: {"choices": [{"delta"\n\n')
        elif fault.kind == "error_event":
            await _chunk(writer, protocol.error_event(fault))
        await _end(writer)
        return True

    async def _begin_stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        await writer.drain()

    async def _stream(
        self, record: Record, answer: Answer, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        for piece in protocol.pieces(record.request, answer):
            if limit is not None and record.chunks >= limit:
                return
            await asyncio.sleep(answer.seconds_per_chunk)
            await _chunk(writer, piece)
            record.chunks += 1


async def _fail_plain(request: Request, fault: Fault, writer: asyncio.StreamWriter) -> bool:
    """The counterpart of each fault for a client that asked for one plain answer."""
    body = protocol.completion(request, fault.answer)
    if fault.kind == "stall":
        await asyncio.Event().wait()
    if fault.kind in ("cut", "drop", "reset"):
        writer.write(_head(200, len(body), {}) + body[: len(body) // 2])
        await writer.drain()
        _hang_up(writer, reset=fault.kind == "reset")
        return False
    if fault.kind == "malformed":
        body = body[: len(body) // 2]
    elif fault.kind == "clean_end":
        unfinished = json.loads(body)
        unfinished["choices"][0]["finish_reason"] = None
        body = json.dumps(unfinished).encode()
    elif fault.kind == "error_event":
        body = json.dumps(fault.error_body()).encode()
    await _send(writer, 200, body)
    return True


def _head(status: int, length: int, extra: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", "Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in extra.items()), "", ""]).encode()


async def _send(
    writer: asyncio.StreamWriter, status: int, body: bytes, extra: dict[str, str] | None = None
) -> None:
    writer.write(_head(status, len(body), extra or {}) + body)
    await writer.drain()


async def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _hang_up(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        # Linger time zero: the kernel sends RST instead of FIN.
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort() if reset else writer.close()


def _announce(url: str) -> None:
    sys.stdout.write(url + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve an answers file until killed."""
    parser = argparse.ArgumentParser(prog="python -m windlass.testing.server", description=__doc__)
    parser.add_argument("--answers", type=Path, required=True, help="JSON file, see windlass.testing.answers")
    parser.add_argument("--log", type=Path, help="write a JSON line for each arrival and each end")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        log = None if options.log is None else stack.enter_context(options.log.open("a", encoding="utf-8"))
        server = OpenAIServer(Answers.load(options.answers), host=options.host, port=options.port, log=log)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(server.serve(_announce))


if __name__ == "__main__":
    main()
