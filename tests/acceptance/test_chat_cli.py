"""``windlass chat`` through the real command line: what piped input ends with, and what is not sent."""

from __future__ import annotations

import json
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


def test_retry_asks_the_model_that_was_chosen_meanwhile(cli: Cli, server: OpenAIServer, model: Steps) -> None:
    model.given["chat_step"] = [Fault("status", status=401, message="bad key"), "An answer.", "Another."]
    done = cli("chat", stdin="Hello?\n/model openai-chat:other-model\n/retry\nAnd now?\n/cost\n")
    assert (done.code, done.out) == (0, "An answer.\nAnother.\n")
    assert "2 exchanges" in done.err
    asked = [record.request.model for record in server.records]
    assert asked == ["test-model", "other-model", "other-model"]
    assert server.records[-1].request.text.count("Hello?") == 1
    # The run that was given up is not asked again by anybody.
    assert cli("chat", "--resume", stdin="/retry\n").err.count("Every message has its answer.") == 1
    assert server.count() == 3


def test_an_interrupted_message_that_another_model_answers_is_not_left_to_resume(
    cli: Cli, server: OpenAIServer, model: Steps
) -> None:
    model.given["chat_step"] = Answer("An answer.", until=str(cli.cwd / "go on"))
    terminal = cli.terminal("chat")
    terminal.wait_for_prompt("to leave")
    terminal.type("Hello?\n")
    assert server.wait_for("open", timeout=PATIENCE)
    terminal.type("\x03")
    terminal.wait_for("Once more stops at once.")
    terminal.type("\x03")
    terminal.wait_for_prompt("/retry asks again.")
    model.given["chat_step"] = "From the other."
    terminal.type("/model openai-chat:other-model\n")
    terminal.wait_for_prompt("Model: openai-chat:other-model")
    terminal.type("/retry\n")
    terminal.wait_for_prompt("From the other.")
    terminal.type("\x04")
    assert terminal.end() == 0
    (cli.cwd / "go on").touch()
    states = [row["status"] for row in json.loads(cli("runs", "list", "--json").out)]
    assert sorted(states) == ["Cancelled", "Success"]


def test_files_are_named_from_the_home_folder_as_in_a_shell(cli: Cli, server: OpenAIServer) -> None:
    (cli.home / "notes.md").write_text("NOTES\n")
    done = cli("chat", stdin="/file ~/notes.md\nHello?\n/save ~/talk.md\n/save ~nobody-here/talk.md\n")
    assert done.code == 2 and "~nobody-here/talk.md cannot be written" in done.err
    assert "NOTES" in server.records[0].request.text
    assert "An answer." in (cli.home / "talk.md").read_text()


def test_lines_that_are_pasted_together_are_one_message_and_no_command(
    cli: Cli, server: OpenAIServer
) -> None:
    terminal = cli.terminal("chat")
    terminal.wait_for_prompt("to leave")
    terminal.type("\x1b[200~/file a.py\n\nis what I typed\x1b[201~")
    terminal.wait_for("is what I typed")
    assert server.count() == 0
    terminal.type("\n")
    terminal.wait_for_prompt("An answer.")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert server.count() == 1
    assert "/file a.py\n\nis what I typed" in server.records[0].request.text


def test_what_is_redirected_gets_the_answers_alone(cli: Cli, server: OpenAIServer) -> None:
    terminal = cli.shell(f"{WINDLASS} chat > out.txt")
    terminal.wait_for_prompt("to leave")
    terminal.type("Hello?\n")
    assert server.wait_for("answered", timeout=PATIENCE)
    terminal.type("\x04")
    assert terminal.end() == 0
    assert (cli.cwd / "out.txt").read_text() == "An answer.\n"


def test_without_any_output_messages_are_answered_and_kept(cli: Cli, server: OpenAIServer) -> None:
    done = subprocess.run(
        ["sh", "-c", f"printf 'One?\\nTwo?\\n' | {WINDLASS} chat >&-"],
        cwd=cli.cwd, env=cli.env(), stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert server.count() == 2


def test_a_reader_that_goes_away_ends_the_conversation_after_the_answer(
    cli: Cli, server: OpenAIServer, model: Steps
) -> None:
    model.given["chat_step"] = "word " * 20_000
    done = subprocess.run(
        ["sh", "-c", f"printf 'One?\\nTwo?\\n' | {WINDLASS} chat | head -c 4"],
        cwd=cli.cwd, env=cli.env(), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("word", "")
    assert server.count() == 1
    assert [row["status"] for row in json.loads(cli("runs", "list", "--json").out)] == ["Success"]


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
