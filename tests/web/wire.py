"""A Socket.IO client of a few lines over a websocket (protocol 5 over Engine.IO 4), whose connection can be dropped."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from contextlib import ExitStack
from socket import SHUT_RDWR
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.web.serving import PATIENCE, Served


class Wire:
    """One connection. ``events`` holds what came and was not asked for yet, in order."""

    def __init__(self, served: Served) -> None:
        self._stack = ExitStack()
        url = served.url.replace("http://", "ws://") + "/socket.io/?EIO=4&transport=websocket"
        self.line: ClientConnection = self._stack.enter_context(
            connect(
                url,
                additional_headers=served.headers,
                max_size=None,
                open_timeout=PATIENCE,
                close_timeout=0.2,
            )
        )
        self.events: deque[tuple[str, dict[str, Any]]] = deque()
        self._acks: dict[int, Any] = {}
        self._next = 0
        assert self._packet().startswith("0")
        self.line.send("40")
        assert self._packet().startswith("40")

    def _packet(self) -> str:
        until = time.monotonic() + PATIENCE
        while True:
            # The server's pings come all the time: they are no reason to wait on.
            packet = self.line.recv(timeout=max(0.0, until - time.monotonic()))
            assert isinstance(packet, str)
            if packet != "2":
                return packet
            self.line.send("3")

    def _read(self) -> None:
        found = re.match(r"(4[0-9])([0-9]*)(.*)", self._packet(), re.DOTALL)
        assert found is not None
        kind, number, text = found.groups()
        if kind == "42":
            name, payload = json.loads(text)
            self.events.append((name, payload))
        elif kind == "43":
            self._acks[int(number)] = json.loads(text)[0]

    def call(self, name: str, *payload: Any) -> Any:
        """Emit, and give the acknowledgement."""
        number, self._next = self._next, self._next + 1
        self.line.send(f"42{number}{json.dumps([name, *payload])}")
        while number not in self._acks:
            self._read()
        return self._acks.pop(number)

    def next(self) -> tuple[str, dict[str, Any]]:
        """The next event."""
        while not self.events:
            self._read()
        return self.events.popleft()

    def drop(self) -> None:
        """Lose the connection, without a word."""
        self.line.socket.shutdown(SHUT_RDWR)
        self._stack.close()

    def close(self) -> None:
        """Leave in order."""
        self._stack.close()
