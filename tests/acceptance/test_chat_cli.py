"""``windlass chat`` through the real command line: what piped input ends with, and what is not sent."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.cli import PATIENCE, WINDLASS, Cli, Steps
from windlass.testing.server import Answer, Fault, OpenAIServer


@pytest.fixture(autouse=True)
def answers(model: Steps) -> None:
    model.given["chat_step"] = "An answer."


def test_piped_input_ends_with_the_code_of_what_failed(cli: Cli, server: OpenAIServer, model: Steps) -> None:
    assert cli("chat", stdin="Hello?\n").code == 0
    model.given["chat_step"] = Fault("status", status=401, message="bad key")
    done = cli("chat", stdin="Hello?\n")
    assert done.code == 1 and "API key" in done.err
    model.given["chat_step"] = [Fault("status", status=401, message="bad key"), "An answer."]
    done = cli("chat", stdin="Hello?\n/retry\n")
    assert done.code == 0 and done.out == "An answer.\n"
    done = cli("chat", stdin="/nonsense\nHello?\n")
    assert done.code == 2 and done.out == "An answer.\n"


@pytest.mark.parametrize(
    ("typed", "missing"),
    [('"""\nHello\n', 'the """ that ends it'), ("Hello \\\n", "the line after \\")],
)
def test_a_message_that_was_not_ended_is_not_sent(
    cli: Cli, server: OpenAIServer, typed: str, missing: str
) -> None:
    done = cli("chat", stdin=typed)
    assert done.code == 2 and f"The message was not sent: {missing} is missing." in done.err
    assert server.count() == 0
    terminal = cli.terminal("chat")
    terminal.wait_for_prompt("to leave")
    terminal.type(typed)
    terminal.wait_for_prompt(typed.splitlines()[-1], "…")
    terminal.type("\x04")
    terminal.wait_for_prompt("is missing.")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert server.count() == 0


def piped(cli: Cli, given: bytes, *arguments: bytes) -> tuple[int, str]:
    """``windlass chat`` with bytes, which need be no text."""
    command = [os.fsencode(WINDLASS), b"chat", *arguments]
    done = subprocess.run(
        command, cwd=cli.cwd, env=cli.env(), input=given, capture_output=True, timeout=PATIENCE
    )
    return done.returncode, done.stderr.decode()


def test_what_is_no_utf8_is_refused_in_one_sentence_and_not_sent(cli: Cli, server: OpenAIServer) -> None:
    said = "Error: The message is not UTF-8 text (character 4); convert it first.\n"
    assert piped(cli, b"caf\xe9\n") == (2, said)
    assert piped(cli, b"", b"caf\xe9") == (2, said)
    cli.environment["LANG"] = "C.UTF-8"
    cli.environment["PYTHONIOENCODING"] = "utf-8:strict"
    assert piped(cli, b"caf\xe9\n") == (2, said)
    assert server.count() == 0


def test_resume_goes_on_in_the_folder_that_is_named(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (cli.cwd / "notes.md").write_text("OLD\n")
    assert cli("chat", "--file", "notes.md", stdin="One?\n").code == 0
    done = cli("chat", "--resume", "--workspace", str(other), stdin="Two?\n")
    assert done.code == 2 and "sends notes.md along" in done.err and server.count() == 1
    (other / "notes.md").write_text("NEW\n")
    assert cli("chat", "--resume", "--workspace", str(other), stdin="Two?\n").code == 0
    assert "NEW" in server.records[-1].request.text and "OLD" not in server.records[-1].request.text


def test_ctrl_c_ends_piped_input_before_the_next_message(
    cli: Cli, server: OpenAIServer, model: Steps
) -> None:
    model.given["chat_step"] = Answer("An answer.", delay=1.0)
    process = subprocess.Popen(
        [str(WINDLASS), "chat"],
        cwd=cli.cwd,
        env=cli.env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("One?\nTwo?\n")
    process.stdin.flush()
    assert server.wait_for("open", timeout=PATIENCE)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "An answer.\n")
    assert server.count() == 1
