"""The local server itself, as a process of its own and with an answers file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from windlass.testing.answers import Answers
from windlass.testing.protocol import Answer, Fault, Request
from windlass.testing.server import OpenAIServer


def post(base_url: str, text: str, step: str = "", **body: Any) -> tuple[int, dict[str, Any]]:
    """One plain request without any SDK."""
    data = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **body}).encode()
    request = urllib.request.Request(f"{base_url}/chat/completions", data, {"X-Windlass-Step": step})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@contextmanager
def process(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "windlass.testing.server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield running.stdout.readline().strip()
        running.send_signal(signal.SIGINT)


def test_a_process_of_its_own_answers_from_a_file_and_logs(tmp_path: Path) -> None:
    answers, log = tmp_path / "answers.json", tmp_path / "log.jsonl"
    rules = [
        {"step": "design_step*", "text": "once", "times": 1},
        {"match": "palin.rome", "fault": {"kind": "status", "status": 429, "retry_after": "2"}},
        {"step": "repair[2]", "text": "bracket"},
    ]
    answers.write_text(json.dumps({"defaults": {"output_tokens": 5}, "answers": rules}))
    with process("--answers", str(answers), "--log", str(log)) as base_url:
        status, body = post(base_url, "x", "design_step.a")
        assert (status, body["choices"][0]["message"]["content"]) == (200, "once")
        assert body["usage"]["completion_tokens"] == 5
        assert post(base_url, "x", "design_step.a")[0] == 404
        assert post(base_url, "a palindrome", "other")[0] == 429
        assert post(base_url, "x", "repair%5B2%5D")[0] == 200
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["arrived", "finished"] * 4
    assert [line["outcome"] for line in lines if line["event"] == "finished"] == [
        "answered",
        "failed",
        "failed",
        "answered",
    ]
    assert lines[0]["step"] == "design_step.a"


def test_other_endpoints() -> None:
    with OpenAIServer(lambda request: Answer("x"), models=["a", "b"]) as server:
        with urllib.request.urlopen(f"{server.base_url}/models") as response:
            assert [model["id"] for model in json.load(response)["data"]] == ["a", "b"]
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(f"{server.base_url}/responses", b"{}")
        caught.value.close()
    assert server.count() == 0


def test_a_handler_that_breaks_is_a_500_and_the_server_lives_on() -> None:
    def handler(request: Request) -> Answer:
        if request.number == 1:
            raise RuntimeError("a bug in the test")
        return Answer("fine")

    with OpenAIServer(handler) as server:
        status, body = post(server.base_url, "x")
        assert status == 500
        assert "a bug in the test" in body["error"]["message"]
        assert post(server.base_url, "x")[0] == 200


def test_it_can_be_left_while_a_request_stalls() -> None:
    with OpenAIServer(lambda request: Fault("stall")) as server, pytest.raises(TimeoutError):
        request = urllib.request.Request(f"{server.base_url}/chat/completions", b'{"messages": []}')
        urllib.request.urlopen(request, timeout=0.2)
    assert server.count() == 1


def test_a_taken_port_is_an_error() -> None:
    with OpenAIServer(lambda request: Answer("x")) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        with pytest.raises(OSError), OpenAIServer(lambda request: Answer("x"), port=port):
            pass


def test_answers_refuse_a_file_with_unknown_keys(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text('{"answers": [{"txt": "typo"}]}')
    with pytest.raises(TypeError, match="txt"):
        Answers.load(path)
