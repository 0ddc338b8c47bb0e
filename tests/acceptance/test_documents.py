"""The document workflows through the real command line: killed and resumed, over the exercise corpus, in a conversation."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import Cli
from windlass.app import App
from windlass.journal import Entry, EntryState
from windlass.settings import load_settings
from windlass.testing.server import Answer, OpenAIServer, Request

#: Exercises for write-tests; WINDLASS_TEST_EXERCISES=20 for the whole show.
EXERCISES = int(os.environ.get("WINDLASS_TEST_EXERCISES", "4"))


class Model:
    """Answers by prompt name; a function in ``given`` wins."""

    def __init__(self) -> None:
        self.given: dict[str, Callable[[Request], str]] = {}
        self.delay = 0.0

    def __call__(self, request: Request) -> Answer:
        name = request.prompt.partition("@")[0].removeprefix("documents.")
        text = self.given.get(name, getattr(self, name, None) or (lambda request: "Done."))(request)
        return Answer(text, delay=self.delay)

    def process_file(self, request: Request) -> str:
        path = re.search(r"# The file\n(\S+)\n```", request.text)
        assert path is not None
        return f"{path[1]}\n````\nchanged {path[1]}\n````"

    def define_pages(self, request: Request) -> str:
        count = re.search(r"exactly (\d+) pages", request.text)
        assert count is not None
        return json.dumps({"pages": [f"part {n}" for n in range(1, int(count[1]) + 1)]})

    def write_page(self, request: Request) -> str:
        number = re.search(r"# Your step: page (\d+) of", request.text)
        assert number is not None
        return f"book.md\n````\n# Page {number[1]}\n\nText.\n````"


@pytest.fixture
def model() -> Model:
    return Model()


def journal(cli: Cli, run: str) -> list[Entry]:
    """The run's entries, from the database."""

    async def read() -> list[Entry]:
        app = App(load_settings(home=cli.home))
        try:
            return list(await app.journal.entries(run))
        finally:
            await app.close()

    return asyncio.run(read())


def kill_when(cli: Cli, server: OpenAIServer, answered: int, *command: str) -> None:
    process = cli.start(*command)
    assert server.wait_for("answered", number=answered, timeout=60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_auto_killed_at_half_writes_every_file_once(cli: Cli, server: OpenAIServer, model: Model) -> None:
    names = [f"f{n:02}.txt" for n in range(40)]
    for name in names:
        (cli.cwd / name).write_text(f"this is {name}\n")
    model.delay = 0.05
    kill_when(cli, server, 20, "run", "auto", "Change it.", "--file", "*.txt", "--concurrency", "4")
    done = cli("resume", "last", "--json")
    assert done.code == 0, done.err
    told = done.object
    assert [(cli.cwd / name).read_text() for name in names] == [f"changed {name}\n" for name in names]
    entries = journal(cli, told["run_id"])
    written = Counter(e.path for e in entries if e.kind == "write" and e.state is EntryState.DONE)
    assert written == {f"process_step[{name}]/write[0]": 1 for name in names}
    # At most those that were under way at the kill were asked for twice.
    assert 0 <= server.count() - 41 <= told["usage"]["unknown_calls"] <= 4


def test_a_file_named_as_macos_does_is_worked_on_under_its_own_name(
    cli: Cli, server: OpenAIServer, model: Model
) -> None:
    on_disk = "cafe\u0301/re\u0301sume\u0301.md"
    (cli.cwd / on_disk).parent.mkdir()
    (cli.cwd / on_disk).write_text("old text\n")
    before = os.listdir(cli.cwd)
    done = cli("run", "auto", "Change it.", "--file", on_disk, "--json")
    assert done.code == 0, done.err
    assert os.listdir(cli.cwd) == before
    assert os.listdir((cli.cwd / on_disk).parent) == ["re\u0301sume\u0301.md"]
    assert (cli.cwd / on_disk).read_text() == "changed caf\u00e9/r\u00e9sum\u00e9.md\n"
    assert cli("undo", "last").code == 0
    assert (cli.cwd / on_disk).read_text() == "old text\n"
    assert os.listdir((cli.cwd / on_disk).parent) == ["re\u0301sume\u0301.md"]


def test_forty_pages_killed_at_page_17_come_once_and_in_order(
    cli: Cli, server: OpenAIServer, model: Model
) -> None:
    model.delay = 0.02
    kill_when(cli, server, 18, "run", "write-pages", "A book.", "--to", "book.md", "--pages", "40")
    assert not (cli.cwd / "book.md").exists()
    done = cli("resume", "last", "--json")
    assert done.code == 0, done.err
    pages = re.findall(r"^# Page (\d+)$", (cli.cwd / "book.md").read_text(), re.MULTILINE)
    assert pages == [str(n) for n in range(1, 41)]
    assert server.count() <= 1 + 40 + 1 + 1
    assert [f["change"] for f in done.object["files"]] == ["created"]


@pytest.fixture
def exercises(exercises_corpus: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in exercises_corpus.read_text().splitlines()]
    return [r for r in rows if not r["extra_files"] and "/" not in r["solution_path"]][:EXERCISES]


def test_write_tests_over_exercises(
    cli: Cli, server: OpenAIServer, model: Model, exercises: list[dict[str, Any]]
) -> None:
    by_module = {e["solution_path"]: e for e in exercises}
    for name, exercise in by_module.items():
        (cli.cwd / name).write_text(exercise["solution"])

    def tests(request: Request) -> str:
        source = re.search(r"# The file under test \(read-only\)\n(\S+)\n", request.text)
        target = re.search(r"They go into `([^`]+)`", request.text)
        assert source is not None and target is not None
        return f"{target[1]}\n````python\n{by_module[source[1]]['tests']}\n````"

    model.given |= {"write_tests": tests, "edge_cases": tests, "repair_tests": tests}
    before = {name: hashlib.sha256((cli.cwd / name).read_bytes()).hexdigest() for name in by_module}
    done = cli("run", "write-tests", "Test them.", "--json", *(f"--file={name}" for name in by_module))
    assert done.code == 0, done.object["error"]
    after = {name: hashlib.sha256((cli.cwd / name).read_bytes()).hexdigest() for name in by_module}
    assert after == before
    told = done.object
    assert len(told["files"]) == len(by_module)
    lines = [line for line in told["summary"].splitlines() if line.startswith("- ")]
    assert len(lines) == len(by_module)
    assert all(re.search(r": \d+ passed", line) and "failed" not in line for line in lines)


def test_write_tests_with_a_model_that_apologises(
    cli: Cli, model: Model, exercises: list[dict[str, Any]]
) -> None:
    names = [e["solution_path"] for e in exercises]
    for exercise in exercises:
        (cli.cwd / exercise["solution_path"]).write_text(exercise["solution"])
    sorry = "I'm sorry, but I can't write tests for this file."
    model.given |= dict.fromkeys(("plan_tests", "write_tests", "summarise"), lambda request: sorry)
    done = cli("run", "write-tests", "Test them.", "--json", *(f"--file={name}" for name in names))
    assert done.code == 1
    assert sorted(p.name for p in cli.cwd.iterdir()) == sorted(names)
    assert done.object["files"] == [] and "no usable tests" in done.object["error"]


def test_a_conversation_goes_on_where_it_was_left(cli: Cli, server: OpenAIServer, model: Model) -> None:
    (cli.cwd / "notes.md").write_text("THE NOTES\n")
    model.given["chat"] = lambda request: f"Answer {server.count()}."
    lines = [
        "First?",
        '"""',
        "Second",
        "on two lines?",
        '"""',
        "/file notes.md",
        "Third \\",
        "goes on?",
        "/undo",
    ]
    lines += ["/model nonsense", "/cost", "/save talk.md", "/nonsense", "/help"]
    done = cli("chat", stdin="\n".join(lines) + "\n")
    # For what could not be done; all the rest was.
    assert done.code == 2
    assert done.out.split() == "Answer 1. Answer 2. Answer 3.".split()
    for said in (
        "Taken back: Third",
        "No model is called 'nonsense'",
        "2 exchanges",
        "Saved to talk.md",
        "/save PATH",
    ):
        assert said in done.err
    assert "on two lines?" in (cli.cwd / "talk.md").read_text()
    assert "Third" not in (cli.cwd / "talk.md").read_text()
    again = cli("chat", "--resume", stdin="Fourth?\n/save talk.md\n")
    assert again.out.strip() == "Answer 4." and "talk.md exists already" in again.err
    last = server.records[-1].request.text
    assert all(text in last for text in ("First?", "Answer 2.", "THE NOTES", "Fourth?"))
    assert "Third" not in last


def test_the_end_says_what_a_cache_could_serve(cli: Cli, model: Model) -> None:
    for name in ("a.txt", "b.txt"):
        (cli.cwd / name).write_text(f"this is {name}\n")
    done = cli("run", "auto", "Change it. " * 100, "--file", "*.txt")
    assert done.code == 0, done.err
    assert re.search(r"in \(0 cached, [\d,]+ could be\)", done.out)


def test_a_conversation_at_a_terminal(cli: Cli, server: OpenAIServer, model: Model) -> None:
    model.given["chat"] = lambda request: f"Answer {server.count()}."
    terminal = cli.terminal("chat")
    terminal.wait_for_prompt("to leave")
    terminal.type("First?\n")
    terminal.wait_for("Answer 1.")
    terminal.type("/cost\n")
    terminal.wait_for_prompt("1 exchange ")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert "First?" in (cli.home / "chat_history").read_text()
