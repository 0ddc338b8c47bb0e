"""The server's security table, a test a row."""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.web.serving import PATIENCE, Served, serving, settings_for, wait_for_end
from windlass.errors import ConfigError
from windlass.web import access as access_module
from windlass.web.access import LAUNCH_SECONDS, SESSION_SECONDS, Access
from windlass.web.limits import MAX_BODY
from windlass.web.process import check_options
from windlass.web.server import ServerOptions

#: What is open to strangers; everything else is not. The page's files come through the last one.
OPEN = {"/launch", "/healthz", "/readyz", "/{path:path}"}
CONNECT = "/socket.io/?EIO=4&transport=websocket"


def ws_url(served: Served) -> str:
    """Where Socket.IO's websocket is."""
    return served.url.replace("http://", "ws://") + CONNECT


def ws_status(served: Served, **options: object) -> int:
    """The status with which a websocket is refused; 101 when it is not."""
    try:
        with connect(ws_url(served), open_timeout=PATIENCE, **options):  # type: ignore[arg-type]
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@contextmanager
def browser(served: Served) -> Iterator[httpx.Client]:
    """A browser that has opened the launch link."""
    with served.stranger(follow_redirects=False) as one:
        answer = one.get(served.web.launch_url().removeprefix(served.url))
        assert answer.status_code == 303 and answer.headers["location"] == "/"
        yield one


def every_route(served: Served, run_id: str = "01abcdef") -> list[tuple[str, str]]:
    """Method and path of each route that the router knows, parameters filled in."""
    found = []

    def walk(routes: list[object]) -> None:
        for route in routes:
            if isinstance(route, APIRoute):
                path = route.path.replace("{run_id}", run_id).replace("{name}", "x")
                found.extend((method, path) for method in route.methods)
            elif hasattr(route, "routes"):
                walk(list(route.routes))
            elif hasattr(route, "original_router"):
                walk(list(route.original_router.routes))

    walk(list(served.web.api.routes))
    return found


def test_every_route_is_closed_to_strangers(served: Served) -> None:
    routes = every_route(served)
    assert len(routes) > 25
    expired = Access(served.token, clock=lambda: time.time() - SESSION_SECONDS - 10).new_session()
    foreign = Access("another token, quite as long").new_session()
    with served.stranger() as stranger:
        # More failures than the limit on failures, which has its own test, lets through.
        served.web.guard.failures.burst = 10_000
        served.web.guard.failures._left.clear()
        for method, path in routes:
            if path in OPEN:
                continue
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {served.token}"},
                {"Cookie": f"{served.web.services.cookie}={expired}"},
                {"Cookie": f"{served.web.services.cookie}={foreign}"},
                {"Cookie": f"{served.web.services.cookie}=x.y.z"},
            ):
                answer = stranger.request(method, path, headers=headers, content=b"{")
                assert answer.status_code == 401, (method, path, headers, answer.status_code)
                assert set(answer.json()) == {"error"}
        assert stranger.get("/api/openapi.json").status_code == 401
        assert stranger.get(f"/api/meta?token={served.token}").status_code == 401
        assert stranger.get("/socket.io/?EIO=4&transport=polling").status_code == 401
        assert stranger.get("/socket.io/?EIO=4&transport=polling&sid=guess").status_code == 401
        assert stranger.post("/anything", content=b"{}").status_code == 401
        served.web.guard.failures.burst = 20
        served.web.guard.failures._left.clear()
    assert ws_status(served) == 401


def test_the_open_routes_hold_nothing(served: Served) -> None:
    with served.stranger() as stranger:
        assert stranger.get("/healthz").text == "ok\n"
        assert stranger.get("/readyz").text == "ready\n"
        page = stranger.get("/runs/01abcdef").text
        assert served.token not in page


def test_trying_tokens_is_slowed_down(own: tuple[Path, Path, str]) -> None:
    home, root, base_url = own
    with serving(settings_for(home, base_url), root) as served, served.stranger() as stranger:
        served.web.guard.failures.per_second = 0.001
        seen = [stranger.get("/api/meta").status_code for _ in range(40)]
        assert seen[0] == 401 and 429 in seen
        with served.client() as client:
            assert client.get("/api/meta").status_code == 200, "who knows the token is not kept out"


def test_a_client_that_asks_too_often_is_told_so(own: tuple[Path, Path, str]) -> None:
    home, root, base_url = own
    with serving(settings_for(home, base_url), root) as served, served.client() as client:
        served.web.guard.requests.burst = 5
        served.web.guard.requests.per_second = 0.001
        seen = [client.get("/api/meta").status_code for _ in range(8)]
        assert seen == [200] * 5 + [429] * 3


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", ""]
)
def test_other_pages_are_refused(served: Served, client: httpx.Client, origin: str) -> None:
    for method, path in (
        ("GET", "/api/runs"),
        ("POST", "/api/runs"),
        ("GET", "/socket.io/?EIO=4&transport=polling"),
    ):
        answer = client.request(method, path, headers={"Origin": origin, "Content-Type": "application/json"})
        assert answer.status_code == 403, (method, path)
        assert "access-control-allow-origin" not in answer.headers
    headers = {**served.headers, "Origin": origin}
    assert ws_status(served, additional_headers=headers) == 403


def test_our_own_page_is_not_refused(served: Served) -> None:
    with browser(served) as page:
        assert (
            page.get("/api/runs", headers={"Origin": served.url, "Sec-Fetch-Site": "same-origin"}).status_code
            == 200
        )
        assert page.get("/api/runs", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert page.get("/api/runs", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
        cookie = f"{served.web.services.cookie}={page.cookies[served.web.services.cookie]}"
    assert ws_status(served, additional_headers={"Cookie": cookie, "Origin": served.url}) == 101


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", ""]
)
def test_a_name_that_was_rebound_to_us_is_refused(served: Served, client: httpx.Client, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    for path in ("/", "/api/runs", "/healthz", "/socket.io/?EIO=4&transport=polling"):
        assert client.get(path, headers=headers).status_code == 400, path
    raw = (
        f"GET {CONNECT} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nAuthorization: Bearer {served.token}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE) as line:
        line.sendall(raw.encode())
        assert line.recv(100).startswith(b"HTTP/1.1 400")


def test_a_name_that_was_allowed_is_not(own: tuple[Path, Path, str]) -> None:
    home, root, base_url = own
    with serving(settings_for(home, base_url), root, allowed_hosts=("windlass.test",)) as served:
        with served.client() as client:
            assert client.get("/api/runs", headers={"Host": "windlass.test:443"}).status_code == 200
            assert client.get("/api/runs", headers={"Host": "WINDLASS.test"}).status_code == 200
            headers = {"Host": "windlass.test", "Origin": "https://windlass.test"}
            assert client.get("/api/runs", headers=headers).status_code == 200


def test_what_forwarding_headers_claim_is_not_believed(served: Served, client: httpx.Client) -> None:
    spoofed = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "127.0.0.1",
        "Forwarded": "host=evil.example;proto=https",
    }
    assert client.get("/api/runs", headers={**spoofed, "Origin": "http://evil.example"}).status_code == 403
    assert client.get("/api/runs", headers=spoofed).status_code == 200
    headers = {**served.headers, **spoofed, "Origin": "http://evil.example"}
    assert ws_status(served, additional_headers=headers) == 403
    link = client.post("/api/launch-links", headers=spoofed, json={}).json()["url"]
    assert link.startswith(served.url)


def test_two_hosts_or_origins_in_one_request_are_refused(served: Served) -> None:
    for extra in (
        "Host: evil.example",
        f"Origin: http://127.0.0.1:{served.options.port}\r\nOrigin: http://evil.example",
    ):
        raw = (
            f"GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1:{served.options.port}\r\n{extra}\r\n"
            f"Authorization: Bearer {served.token}\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE) as line:
            line.sendall(raw.encode())
            assert line.recv(100).startswith(b"HTTP/1.1 400")


def test_a_form_on_another_page_starts_nothing(served: Served) -> None:
    with browser(served) as page:
        before = page.get("/api/runs").json()
        body = json.dumps({"workflow": "chat", "prompt": "hi"})
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "",
        ):
            assert page.post("/api/runs", content=body, headers={"Content-Type": kind}).status_code == 415
        headers = {"Content-Type": "text/plain", "Origin": "http://evil.example"}
        assert page.post("/api/runs", content=body, headers=headers).status_code == 403
        assert page.get("/api/runs").json() == before


def test_a_launch_link_works_once(served: Served) -> None:
    link = served.web.launch_url().removeprefix(served.url)
    with served.stranger() as first:
        answer = first.get(link)
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
        assert answer.headers["referrer-policy"] == "no-referrer" and answer.headers["location"] == "/"
        assert first.get("/api/runs").status_code == 200
    with served.stranger() as second:
        answer = second.get(link)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert second.get("/launch?code=").status_code == 401
        assert second.get("/launch").status_code == 401


def test_secrets_run_out() -> None:
    now = 1_000_000.0
    access = Access("a token that is long enough", clock=lambda: now)
    code = access.launch_code()
    now += LAUNCH_SECONDS + 1
    assert access.redeem(code) is None
    session = access.redeem(access.launch_code())
    assert session is not None and access.session_ends(session) == int(now + SESSION_SECONDS)
    later = session.replace(session.partition(".")[0], str(int(now + 10 * SESSION_SECONDS)))
    assert access.session_ends(later) is None, "the end of a session is signed"
    now += SESSION_SECONDS + 1
    assert access.session_ends(session) is None
    assert access_module.Access().token != access_module.Access().token


def test_the_token_is_in_no_log_and_no_answer(
    own: tuple[Path, Path, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    home, root, base_url = own
    caplog.set_level(logging.DEBUG)
    with serving(settings_for(home, base_url), root) as served:
        link = served.web.launch_url()
        code = link.partition("code=")[2]
        with served.stranger() as stranger, served.client() as client:
            answers = [
                stranger.get(link.removeprefix(served.url)),
                stranger.get(f"/launch?code={served.token}"),
            ]
            answers += [client.get(f"/api/runs/01abcdef?token={served.token}"), client.get("/metrics")]
            answers += [
                client.get("/api/meta"),
                client.get(f"/{served.token}"),
                client.get("/api/openapi.json"),
            ]
            wait_for_end(client, served.start(client))
        for answer in answers:
            assert served.token not in answer.text
            assert not any(served.token in value for value in answer.headers.values())
    out, err = capfd.readouterr()
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore")))
    for text in (out, err, ours):
        assert served.token not in text and code not in text
    for file in home.rglob("*"):
        if file.is_file() and not file.name.startswith("server-"):
            assert served.token.encode() not in file.read_bytes(), file


def test_the_token_file_is_its_owners_only(tmp_path: Path, own: tuple[Path, Path, str]) -> None:
    from windlass.web.process import token_file

    home, root, base_url = own
    old = os.umask(0)
    try:
        with serving(settings_for(home, base_url), root) as served:
            planted = tmp_path / "fresh" / f"server-{served.options.port}.json"
            planted.parent.mkdir()
            planted.symlink_to(tmp_path / "elsewhere")
            with token_file(tmp_path / "fresh", served.web) as file:
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
                assert json.loads(file.read_text())["token"] == served.token
                assert not (tmp_path / "elsewhere").exists(), "a planted link is not followed"
            assert not file.exists()
    finally:
        os.umask(old)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "example.org"])
def test_other_machines_need_explicit_settings(host: str) -> None:
    for options in (
        ServerOptions(host=host),
        ServerOptions(host=host, token="a token that is long enough"),
        ServerOptions(host=host, allowed_hosts=("windlass.test",)),
    ):
        with pytest.raises(ConfigError, match="other machines"):
            check_options(options)
    check_options(
        ServerOptions(host=host, token="a token that is long enough", allowed_hosts=("windlass.test",))
    )
    with pytest.raises(ConfigError, match="too short"):
        check_options(ServerOptions(token="short"))


def test_the_command_refuses_another_bind(windlass_home: Path) -> None:
    command = [str(Path(sys.executable).with_name("windlass")), "serve", "--host", "0.0.0.0", "--port", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "other machines" in done.stderr
    assert not list(windlass_home.glob("server-*"))


@pytest.mark.parametrize(
    "path",
    [
        "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/..%252f..%252fetc%252fpasswd", "/assets/..%2f..%2fserver.py",
        "/..%5c..%5cetc%5cpasswd", "//etc/passwd", "/%00", "/assets/%2e%2e/%2e%2e/page.py", "/....//etc/passwd",
        "/assets/%c0%ae%c0%ae/passwd",
    ],
)  # fmt: skip
def test_no_address_reaches_another_file(served: Served, path: str) -> None:
    with socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := line.recv(65536):
            answer += part
    assert b"root:" not in answer and b"import" not in answer
    status = int(answer.split(b" ")[1])
    assert status in (400, 404) or b"<!doctype html" in answer.lower()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..%2f..%2fetc/passwd", "..\\..\\x", "\x00", "~/.ssh"]
)
def test_no_file_name_reaches_outside(served: Served, client: httpx.Client, name: str) -> None:
    run_id = served.start(client)
    wait_for_end(client, run_id)
    assert client.get(f"/api/runs/{run_id}/file", params={"path": name}).status_code == 404
    answer = client.get("/api/files", params={"workspace": name})
    assert answer.status_code == 400 and "root:" not in answer.text
    if "%" not in name:  # a file may be called that: names in JSON are not decoded
        body = {"workflow": "chat", "prompt": "x", "files": [name]}
        assert client.post("/api/runs", json=body).status_code == 400


def test_a_link_in_the_workspace_leads_nowhere(served: Served, client: httpx.Client) -> None:
    link = served.options.roots[0] / "out"
    link.symlink_to("/etc")
    try:
        assert client.get("/api/files", params={"workspace": "out"}).status_code == 400
        assert not any(name.startswith("out/") for name in client.get("/api/files").json()["files"])
    finally:
        link.unlink()


def test_a_run_of_somebody_else_is_like_no_run(served: Served, client: httpx.Client) -> None:
    assert client.get("/api/runs/01zzzzzzzzzzzzzzzzzz").json() == {
        "error": "No run is called '01zzzzzzzzzzzzzzzzzz'."
    }
    one, other = served.start(client), served.start(client)
    for run_id in (one, other):
        wait_for_end(client, run_id)
    shared = one[:4]
    assert other.startswith(shared), "ids begin with the time"
    about_a_run = [(m, p) for m, p in every_route(served, run_id="{run_id}") if "{run_id}" in p]
    assert len(about_a_run) >= 12
    bodies = {"fork": {"from": "chat_step"}, "answer": {"action": "approve"}}
    for abbreviated in (one[:-1], one[-6:], shared, "last"):
        for method, path in about_a_run:
            answer = client.request(
                method,
                path.format(run_id=abbreviated),
                params={"path": "x"},
                json=None if method == "GET" else bodies.get(path.rpartition("/")[2], {}),
            )
            # An address names one run, whatever runs come later.
            assert answer.status_code == 404, (method, path, abbreviated, answer.text)
            assert answer.json() == {"error": f"No run is called '{abbreviated}'."}, (method, path)


def test_large_bodies_are_refused_unread(served: Served, client: httpx.Client) -> None:
    answer = client.post(
        "/api/runs", content=b"x" * (MAX_BODY + 1), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    head = (
        f"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {served.token}\r\n"
        "Content-Type: application/json\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE) as line:
        line.sendall((head + "Content-Length: 100000000\r\n\r\n").encode())
        assert line.recv(100).startswith(b"HTTP/1.1 413"), "said before any of it came"
    with socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE) as line:
        line.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(100_000_000 // 0x10000):
                line.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            pytest.fail("100 MB without a stated length were taken")
    assert client.get("/healthz").status_code == 200


def test_a_stranger_is_refused_before_anything_is_read(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE) as line:
        line.sendall(b"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 401"), "no byte of the body was waited for"


def test_a_large_message_ends_its_connection_only(served: Served, client: httpx.Client) -> None:
    with connect(
        ws_url(served), additional_headers=served.headers, max_size=None, open_timeout=PATIENCE
    ) as line:
        assert str(line.recv(timeout=PATIENCE)).startswith("0")
        line.send("40")
        assert str(line.recv(timeout=PATIENCE)).startswith("40")
        line.send('42["subscribe",{"run":"' + "x" * (MAX_BODY + 100) + '"}]')
        with pytest.raises(Exception, match=r"(?i)close|1009|1005|1006"):
            for _ in range(5):
                line.recv(timeout=PATIENCE)
    assert client.get("/readyz").status_code == 200


def test_a_thousand_idle_connections_do_not_keep_others_out(served: Served, client: httpx.Client) -> None:
    # Both ends of each are this process's.
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, min(4096, most)), most))
    idle = []
    try:
        for _ in range(1000):
            line = socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE)
            idle.append(line)
        with served.client() as another:
            assert another.get("/api/runs").status_code == 200
    finally:
        for line in idle:
            line.close()


def test_a_connection_that_asks_nothing_is_closed(
    own: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, root, base_url = own
    monkeypatch.setattr("windlass.web.process.IDLE", 0.3)
    with serving(settings_for(home, base_url), root) as served:
        silent = socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE)
        slow = socket.create_connection(("127.0.0.1", served.options.port), timeout=PATIENCE)
        slow.sendall(b"GET / HTTP/1.1\r\nHost: local")
        for line in (silent, slow):
            with line:
                try:
                    assert line.recv(1) == b""
                except ConnectionResetError:
                    pass


def test_headers_against_frames_scripts_and_leaks(served: Served, client: httpx.Client) -> None:
    for path in ("/", "/api/runs", "/nothing/here", "/healthz", "/launch?code=x", "/api/openapi.json"):
        headers = client.get(path).headers
        policy = dict(
            part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";")
        )
        assert policy["frame-ancestors"] == "'none'" and policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'" and policy["connect-src"] == "'self'"
        assert policy["img-src"] == "'self' data:"
        assert (
            "unsafe" not in headers["content-security-policy"]
            and "http" not in headers["content-security-policy"]
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers and "access-control-allow-origin" not in headers
    assert "unsafe" not in client.get("/", headers={"Cookie": "x=y"}).headers["content-security-policy"]


def test_text_with_script_stays_text(served: Served, client: httpx.Client) -> None:
    prompt = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>"
    run_id = served.start(client, prompt=prompt)
    wait_for_end(client, run_id)
    for path in (
        f"/api/runs/{run_id}",
        "/api/runs",
        f"/api/runs/{run_id}/events",
        f"/api/runs/{run_id}/calls",
    ):
        answer = client.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/api/runs/%3Cscript%3E").headers["content-type"] == "application/json"
