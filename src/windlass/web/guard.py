"""The gate in front of everything, before a byte of a body is read.

In this order: the Host is one of ours (against DNS rebinding), the Origin is our own page, the caller is known, the
request is neither too large nor one of too many. What forwarding headers claim is not believed. The answers say no
more than the caller needs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from windlass.web.access import Access
from windlass.web.limits import BODY_SECONDS, MAX_BODY, Rate

#: What anyone may fetch: the page itself holds nothing about runs. ``/launch`` checks its own code.
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/launch"})
GUARDED = ("/api", "/socket.io", "/metrics")

#: Nothing inline that runs, nothing from elsewhere, in no frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_FORWARDING = (b"forwarded", b"x-real-ip")
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def cookie_name(port: int) -> str:
    """The session's cookie: browsers keep the cookies of all ports of a host together."""
    return f"windlass-{port}"


class Refused(Exception):
    """The request goes no further."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Guard:
    """ASGI middleware; must be the outermost. ``hosts`` are host names without ports; ``is_open`` says whether a
    Socket.IO session, by its secret id, was begun by somebody known: clients send no credentials after that."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        *,
        hosts: Iterable[str],
        cookie: str,
        is_open: Callable[[str], bool] = lambda sid: False,
    ) -> None:
        self.app = app
        self.access = access
        self.hosts = frozenset(host.lower() for host in hosts)
        self.cookie = cookie
        self.is_open = is_open
        self.requests = Rate(burst=300, per_second=100)
        self.failures = Rate(burst=20, per_second=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if not _is_forwarding(pair[0])]
        scope = {**scope, "headers": headers, "windlass.abort": abort_of(send)}
        named = _Headers(headers)
        try:
            self._check_host(named)
            self._check_origin(scope, named)
            self._check_caller(scope, named)
            if scope["type"] == "http":
                receive = await _read_body(scope, named, receive)
        except Refused as refused:
            await _refuse(scope, send, refused)
            return
        await self.app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)

    def _check_host(self, headers: _Headers) -> None:
        host = headers.one("host")
        if host is None or _name(host) not in self.hosts:
            raise Refused(400, "This server is not called by that name.")

    def _check_origin(self, scope: Scope, headers: _Headers) -> None:
        origin = headers.one("origin")
        if origin is not None:
            own = (headers.one("host") or "").lower()
            if origin.lower() not in (f"http://{own}", f"https://{own}"):
                raise Refused(403, "Requests from other pages are refused.")
        site = headers.one("sec-fetch-site")
        if site not in (None, "same-origin", "none") and scope["path"].startswith(GUARDED):
            raise Refused(403, "Requests from other pages are refused.")

    def _check_caller(self, scope: Scope, headers: _Headers) -> None:
        path = scope["path"]
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if reads and (path in OPEN_PATHS or not path.startswith(GUARDED)):
            return
        caller = self._caller(headers) or self._session(scope)
        if caller is None:
            if not self.failures.allows("all"):
                raise Refused(429, "Too many requests without a valid token; wait a minute.")
            raise Refused(
                401, "No valid session: open the link that `windlass serve` printed, or send its token."
            )
        if not self.requests.allows(caller):
            raise Refused(429, "Too many requests; wait a second.")
        scope["windlass.caller"] = caller
        if scope["type"] == "http" and scope["method"] in _UNSAFE and not path.startswith("/socket.io"):
            kind = (headers.one("content-type") or "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Refused(415, "Send application/json.")

    def _session(self, scope: Scope) -> str | None:
        """The Socket.IO session that a request goes on with."""
        if not scope["path"].startswith("/socket.io/"):
            return None
        sid = parse_qs(scope["query_string"].decode("latin-1")).get("sid", [""])[0]
        return sid if sid and self.is_open(sid) else None

    def _caller(self, headers: _Headers) -> str | None:
        """Who asks, as a short text; None for nobody that is known."""
        scheme, _, token = (headers.one("authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and self.access.is_token(token.strip()):
            return "token"
        for text in headers.all("cookie"):
            try:
                found = SimpleCookie(text).get(self.cookie)
            except CookieError:
                continue
            if found is not None and self.access.session_ends(found.value) is not None:
                return found.value.split(".")[1]
        return None


class _Headers:
    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def one(self, name: str) -> str | None:
        """The value; two of a header that may come once only are nobody's honest request."""
        values = self.all(name)
        if len(values) > 1:
            raise Refused(400, f"The header {name} came twice.")
        return values[0].strip() if values else None


def abort_of(send: Send) -> Callable[[], None]:
    """Ends the connection under a request at once, whatever is still unsent: closing it in order would wait for a
    client that does not read. Works with uvicorn, whose ``send`` belongs to the connection's protocol."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    return transport.abort if transport is not None else lambda: None


def _is_forwarding(name: bytes) -> bool:
    name = name.lower()
    return name.startswith(b"x-forwarded-") or name in _FORWARDING


def _name(host: str) -> str:
    """The host without its port."""
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


async def _read_body(scope: Scope, headers: _Headers, receive: Receive) -> Receive:
    """The whole body, read before anything looks at it, so that its size is known."""
    length = headers.one("content-length")
    if length is not None and (not length.isdigit() or int(length) > MAX_BODY):
        raise Refused(413, f"The request is too large: at most {MAX_BODY:,} bytes.")
    parts: list[bytes] = []
    size = 0
    ended: list[Message] = []
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    ended.append(message)
                    break
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > MAX_BODY:
                    raise Refused(413, f"The request is too large: at most {MAX_BODY:,} bytes.")
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise Refused(408, "The request did not come in time.") from None
    first: list[Message] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}, *ended]

    async def replay() -> Message:
        return first.pop(0) if first else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            extra = [pair for pair in _HEADERS if pair[0] not in given]
            if b"cache-control" not in given:
                extra.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return wrapped


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    body = json.dumps({"error": str(refused)}).encode()
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    headers += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        start: dict[str, Any] = {"type": "websocket.http.response.start"}
        await send({**start, "status": refused.status, "headers": headers + _HEADERS})
        await send({"type": "websocket.http.response.body", "body": body})
        return
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await _with_headers(send)({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
