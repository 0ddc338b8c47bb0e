"""HTTP for model servers: certificates read once, and small pools, so that hundreds of calls at once stay cheap.

Every new client reads the system's certificates, 0.2 to 0.4 s each time; and its pool looks through all of its connections
whenever a call begins or ends, which with a hundred calls under way is a third of what a call costs.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from functools import cache
from urllib.request import getproxies

import httpx2
from pydantic_ai.models import create_async_httpx2_client

#: Calls under way that share one pool.
_CALLS_A_POOL = 8
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=_CALLS_A_POOL)


def new_client() -> httpx2.AsyncClient | None:
    """A client to be closed by whoever asked for it; None where the environment names proxies: there the SDK's own
    client does better."""
    return None if getproxies() else create_async_httpx2_client(transport=Spread())


@cache
def trusted() -> ssl.SSLContext:
    """Whom this machine trusts, read once a process."""
    return httpx2.create_ssl_context()


class Spread(httpx2.AsyncBaseTransport):
    """Spreads calls over as many small pools as are needed. Knows no proxies."""

    def __init__(self) -> None:
        self._pools = [self._new()]
        self._under_way = [0]

    def _new(self) -> httpx2.AsyncHTTPTransport:
        return httpx2.AsyncHTTPTransport(verify=trusted(), limits=_LIMITS)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it through the pool with the fewest calls; a call counts until its body has been read or closed."""
        place = min(range(len(self._pools)), key=self._under_way.__getitem__)
        if self._under_way[place] >= _CALLS_A_POOL:
            place = len(self._pools)
            self._pools.append(self._new())
            self._under_way.append(0)
        self._under_way[place] += 1
        try:
            response = await self._pools[place].handle_async_request(request)
        except BaseException:
            # Also when cancelled: a call without a response has no body whose end would free its place.
            self._under_way[place] -= 1
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, self._under_way, place)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.aclose()


class _Counted(httpx2.AsyncByteStream):
    """A body whose end frees its place in the pool."""

    def __init__(self, body: httpx2.AsyncByteStream, under_way: list[int], place: int) -> None:
        self._body = body
        self._under_way = under_way
        self._place = place
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            yield piece

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._under_way[self._place] -= 1
        await self._body.aclose()
