"""HTTP clients for model servers: made without a second's wait, and quick with hundreds of calls at once.

A client's pool looks through all of its connections whenever a request begins or ends; with a hundred calls under way
that is most of the time a call costs. So calls are spread over several small pools.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from urllib.request import getproxies

import httpx2

#: Calls under way that share one pool.
_CALLS_A_POOL = 8
#: Seconds until a server that does not take the connection counts as unreachable, as in pydantic-ai.
_CONNECT_SECONDS = 5.0


class Clients:
    """The clients of one model. They belong to the event loop that they are first used in."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = dict(headers)
        self._verify = _trust(base_url)
        self._clients: list[httpx2.AsyncClient] = [self._new()]
        self._under_way = [0]

    def _new(self) -> httpx2.AsyncClient:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=_CALLS_A_POOL)
        return httpx2.AsyncClient(
            verify=self._verify, limits=limits, headers=self._headers, follow_redirects=True
        )

    @asynccontextmanager
    async def post(
        self, path: str, content: bytes, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[httpx2.Response]:
        """The response to one request, its body not read yet. ``timeout``: seconds without a sign of life."""
        place = min(range(len(self._clients)), key=self._under_way.__getitem__)
        if self._under_way[place] >= _CALLS_A_POOL:
            place = len(self._clients)
            self._clients.append(self._new())
            self._under_way.append(0)
        client = self._clients[place]
        limits = httpx2.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))
        self._under_way[place] += 1
        try:
            async with client.stream(
                "POST", self._base_url + path, content=content, headers=headers, timeout=limits
            ) as response:
                yield response
        finally:
            self._under_way[place] -= 1

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()


@cache
def _system_trust() -> Any:
    return httpx2.create_ssl_context()


def _trust(base_url: str) -> Any:
    """Whom to trust; the system's list takes 0.2 to 0.4 s to read, so it is read once, and only where it is needed."""
    if base_url.startswith("http:") and not getproxies():
        # Trusts nobody: should such a server send us on to an encrypted address, that fails rather than goes unchecked.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _system_trust()
