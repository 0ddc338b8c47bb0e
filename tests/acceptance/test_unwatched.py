"""Output that cannot be written or encoded, and a reader who goes away, end the output and never the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from tests.acceptance.cli import PATIENCE, WINDLASS, Cli, Done, Steps
from windlass.testing.server import Fault

CHAT = ("run", "chat", "hi", "--allow-unknown-price")


def into(cli: Cli, out: IO[Any] | int, *arguments: str, **env: str) -> Done:
    """Run with standard output going somewhere."""
    done = subprocess.run(
        [str(WINDLASS), *arguments],
        cwd=cli.cwd,
        env=cli.env() | env,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )
    return Done(done.returncode, (done.stdout or b"").decode("latin-1"), done.stderr.decode())


def statuses(cli: Cli) -> list[str]:
    return [row["status"] for row in json.loads(cli("runs", "list", "--json").out)]


@pytest.fixture(autouse=True)
def answered(model: Steps) -> None:
    model.given["chat_step"] = "Done ✓"


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_what_cannot_be_encoded_is_replaced(cli: Cli, env: dict[str, str]) -> None:
    done = into(cli, subprocess.PIPE, *CHAT, **env)
    assert done.code == 0, done
    assert "? Chat [chat_step] finished" in done.out
    assert "Done ?" in done.out
    # JSON loses nothing.
    told = into(cli, subprocess.PIPE, *CHAT, "--json", **env)
    assert (told.code, json.loads(told.out)["summary"]) == (0, "Done ✓")
    shown = into(cli, subprocess.PIPE, "runs", "show", "last", "--json", **env)
    assert json.loads(shown.out)["summary"] == "Done ✓"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("more", [(), ("--json",), ("--quiet",)])
def test_a_full_disk_ends_the_output_and_not_the_run(cli: Cli, model: Steps, more: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = into(cli, full, *CHAT, *more)
    assert done.code == 0, done
    assert "Standard output could not be written (No space left on device); the work went on." in done.err
    assert "Traceback" not in done.err
    assert "fault of its own" not in done.err
    assert statuses(cli) == ["Success"]
    model.given["chat_step"] = Fault("status", status=400, message="no")
    with open("/dev/full", "w") as full:
        assert into(cli, full, *CHAT, *more).code == 1
    assert statuses(cli) == ["Failure", "Success"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words", [("runs", "list"), ("runs", "list", "--json"), ("--help",), ("prompts", "list"), ("--version",)]
)
def test_a_full_disk_is_told_by_commands_that_only_print(cli: Cli, words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = into(cli, full, *words)
    assert done.code == 1, done
    said = (
        ""
        if words == ("--version",)
        else "Error: The output could not be written: No space left on device.\n"
    )
    assert done.err == said


@pytest.mark.parametrize("words", ["runs list", "prompts list", "--help", "--version"])
def test_output_that_was_closed_is_no_fault(cli: Cli, words: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{WINDLASS} {words} >&-"],
        cwd=cli.cwd,
        env=cli.env(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_reader_who_has_gone_is_not_waited_for(cli: Cli, more: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = into(cli, write, *CHAT, *more)
    os.close(write)
    # As every command does whose reader went away; the run is not touched.
    assert done.code == 1, done
    assert "Traceback" not in done.err
    assert "Exception" not in done.err
    assert statuses(cli) == ["Success"]
    assert "notice" not in {
        e["name"] for e in json.loads(cli("runs", "show", "last", "--events", "--json").out)["events"]
    }


def test_a_batch_goes_on_too(cli: Cli) -> None:
    (cli.cwd / "items.jsonl").write_text('{"message": "a"}\n{"message": "b"}\n')
    read, write = os.pipe()
    os.close(read)
    done = into(
        cli, write, "batch", "items.jsonl", "--out", "out", "--workflow", "chat", "--allow-unknown-price"
    )
    os.close(write)
    assert (done.code, "Traceback" in done.err) == (1, False), done
    assert statuses(cli) == ["Success", "Success"]


INTERRUPTED_AT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["MODULE"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from windlass.cli import main
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        "windlass.cli.output",
        "windlass.cli.root",
        "rich_click",
        "windlass.cli.run",
        "windlass.cli.session",
        "windlass.app",
    ],
)
def test_an_early_ctrl_c_has_its_exit_code_and_no_traceback(cli: Cli, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT, *CHAT],
        cwd=cli.cwd,
        env=cli.env() | {"MODULE": module},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (130, False), done
    assert statuses(cli) == []
