"""The commands, called in this process: what they print, how they end."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest

from tests.acceptance.cli import KEY, serve
from tests.journal.journals import entry
from tests.journal.journals import run as run_record
from windlass.app import App
from windlass.cli.root import COMMANDS, LazyGroup, cli, run, safe
from windlass.cli.run import CODING_OUTLINE
from windlass.journal import EntryState
from windlass.workflows.coding import WORKFLOW_CONFIG


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def windlass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Said]:
    """Calls the command line as the console script does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str) -> Said:
        monkeypatch.setattr("sys.argv", ["windlass", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        shown = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, shown.out, shown.err)

    return call


def test_help_lists_every_command_in_order(windlass: Callable[..., Said]) -> None:
    said = windlass("--help")
    assert said.code == 0
    listed = said.out.partition("Commands")[2]
    places = [listed.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)
    for line in COMMANDS.values():
        assert line[1].split("(")[0].strip(" .")[:30] in said.out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_its_options(windlass: Callable[..., Said], name: str) -> None:
    said = windlass(name, "--help")
    assert said.code == 0
    assert "Usage:" in said.out
    loaded = cli.get_command(click.Context(cli), name)
    assert loaded is not None
    if not isinstance(loaded, LazyGroup):
        for parameter in loaded.params:
            for option in parameter.opts:
                assert not option.startswith("--") or option in said.out


def test_a_mistyped_command_gets_the_nearest(windlass: Callable[..., Said]) -> None:
    said = windlass("modles")
    assert said.code == 2
    assert "Did you mean 'models'?" in said.err


def test_the_outline_is_the_workflow() -> None:
    steps = WORKFLOW_CONFIG["steps"]
    assert [(key, declared["step_class"].title) for key, declared in steps.items()] == list(CODING_OUTLINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(windlass: Callable[..., Said], shell: str) -> None:
    said = windlass("completion", shell)
    assert said.code == 0
    assert "_WINDLASS_COMPLETE" in said.out


def test_safe_text_cannot_drive_a_terminal() -> None:
    assert safe("a\x1b[31mb\rc\x07\u202e é ✓\n\t") == "a\ufffd[31mb\ufffdc\ufffd\ufffd é ✓\n\t"


def test_models_without_any(windlass: Callable[..., Said], windlass_home: Path) -> None:
    said = windlass("models")
    assert said.code == 0
    assert "WINDLASS_MODEL" in said.out
    assert "windlass demo" in said.out
    assert str(windlass_home / "windlass.toml") in said.out
    assert windlass("models", "--json").value == []
    assert list(windlass_home.iterdir()) == []


def test_models_lists_roles_prices_and_what_is_missing(
    windlass: Callable[..., Said], windlass_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (windlass_home / "windlass.toml").write_text(
        '[models.local]\nmodel = "openai-chat:qwen"\nbase_url = "http://127.0.0.1:9/v1"\nprice = "free"\n'
        '[models.fixed]\nmodel = "openai:gpt-5-mini"\nprice = {input = 1, output = 2.5}\n'
    )
    monkeypatch.setenv("WINDLASS_MODEL", "openai:gpt-5-mini")
    monkeypatch.setenv("WINDLASS_FAST_MODEL", "local")
    found = {m["name"]: m for m in windlass("models", "--json").value}
    assert found["openai:gpt-5-mini"]["roles"][-1] == "main"
    assert "OPENAI_API_KEY" in " ".join(found["openai:gpt-5-mini"]["missing"])
    assert found["openai:gpt-5-mini"]["price"]["policy"] == "catalogue"
    assert found["local"]["roles"] == ["fast"]
    assert found["local"]["price"]["policy"] == "free"
    assert found["local"]["missing"] == []
    assert found["fixed"]["price"] == {
        "policy": "fixed", "input_per_million": 1.0, "output_per_million": 2.5
    }  # fmt: skip
    text = windlass("models").out
    assert "http://127.0.0.1:9/v1" in text
    assert "OPENAI_API_KEY" in text
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = windlass("models")
    assert "ready" in said.out
    assert KEY not in said.out


def test_doctor(windlass: Callable[..., Said], windlass_home: Path) -> None:
    said = windlass("doctor", "--json")
    checks = {check["name"]: check for check in said.value}
    assert checks["database"]["ok"] is True
    assert "sandbox" in checks
    assert checks["models"]["ok"] is None
    assert said.code == (0 if all(c["ok"] is not False for c in checks.values()) else 1)
    assert str(windlass_home) in windlass("doctor").out


def test_doctor_says_what_is_broken(windlass: Callable[..., Said], windlass_home: Path) -> None:
    (windlass_home / "windlass.db").write_text("not a database, really not" * 50)
    said = windlass("doctor", "--json")
    assert said.code == 1
    assert {c["name"]: c["ok"] for c in said.value}["database"] is False


def test_db_upgrade_twice(windlass: Callable[..., Said], windlass_home: Path) -> None:
    assert "was brought from nothing to schema" in windlass("db", "upgrade").out
    assert "is up to date" in windlass("db", "upgrade").out
    assert (windlass_home / "windlass.db").stat().st_mode & 0o077 == 0


def test_no_runs_yet(windlass: Callable[..., Said]) -> None:
    assert windlass("runs", "list").out.strip() == "No runs."
    assert windlass("runs", "list", "--json").value == []
    said = windlass("runs", "show", "last")
    assert said.code == 2
    assert said.err.startswith("Error: ")
    assert windlass("runs", "list", "--status", "Nonsense").code == 2


def test_a_run_and_looking_at_it(windlass: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as server:
        for name, value in {
            "WINDLASS_MODEL": "openai-chat:big",
            "WINDLASS_FAST_MODEL": "openai-chat:small",
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": KEY,
            "WINDLASS_TAG_REQUESTS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        said = windlass("run", "coding", "A function slugify(text)", "--yes", "--quiet")
        assert said.code == 0
        assert said.out.startswith("Success\n")
        models = {record.request.step: record.request.model for record in server.records}
    assert {m for step, m in models.items() if step != "summary_step"} == {"big"}
    assert models["summary_step"] == "small"
    (listed,) = windlass("runs", "list", "--json").value
    assert (listed["status"], listed["workflow"], listed["title"]) == (
        "Success",
        "coding",
        "A function slugify(text)",
    )
    assert "slugify" in windlass("runs", "list").out
    for width in ("40", "55", "80"):
        monkeypatch.setenv("COLUMNS", width)
        narrow = windlass("runs", "list").out.splitlines()[1]
        assert narrow.startswith(f"{listed['run_id']}  Success ")
        shown = windlass("runs", "show", "last").out
        assert re.search(r"^Implementation +finished", shown, re.MULTILINE)
    run_id = listed["run_id"]
    for name in (run_id, "last", run_id[:12], run_id[-6:]):
        assert windlass("runs", "show", name, "--json").value["run_id"] == run_id
    shown = windlass("runs", "show", "last", "--calls", "--json").value
    assert {c["prompt"] for c in shown["calls"]} == {
        f"coding.{name}@1" for name in ("requirement", "design", "tests", "implementation", "summary")
    }
    text = windlass("runs", "show", "last", "--calls").out
    assert "implementation_step[slug.py]" in text
    assert "coding.design@1" in text


def test_an_export_holds_half_a_character_as_it_is(windlass: Callable[..., Said], tmp_path: Path) -> None:
    async def keep() -> None:
        app = App()
        await app.journal.create_run(run_record("run-0001", options={"message": "half \ud83d, whole 😀"}))
        await app.close()

    asyncio.run(keep())
    assert windlass("runs", "export", "last", "--output", "run.json").code == 0
    in_file = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    for exported in (in_file, windlass("runs", "export", "last").value):
        assert exported["run"]["options"]["message"] == "half \ud83d, whole 😀"


def test_calls_say_where_their_prompts_came_from_on_80_columns(
    windlass: Callable[..., Said], windlass_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "test_generation_step[test_durations_and_more.py].repair[1]/model[0]"
    used: dict[str, Any] = {
        "model": "openai-chat:a-model-with-a-long-name-2026-01-01",
        "prompt_name": "coding.tests",
        "request": {"messages": [{"role": "user", "content": "Write tests."}]},
    }

    async def keep() -> None:
        app = App()
        await app.journal.create_run(run_record())
        lease = await app.journal.acquire("run-0001", "me")
        for attempt, (version, source) in enumerate([(3, "db"), (3, "stale"), (None, "default")], 1):
            call = entry(path, attempt=attempt, prompt_version=version, provenance=source, **used)
            await app.journal.claim(lease, call)
        told = {
            "input_tokens": 123_456,
            "output_tokens": 12_345,
            "cost_usd": Decimal("0.012345"),
            "error": "cut off",
        }
        await app.journal.settle(lease, call.evolve(state=EntryState.FAILED, **told))
        await app.close()

    asyncio.run(keep())
    monkeypatch.setenv("COLUMNS", "80")
    lines = windlass("runs", "show", "last", "--calls").out.splitlines()
    calls = lines[lines.index(f"  {path}#1 claimed") :]
    assert calls == [
        f"  {path}#1 claimed",
        f"    coding.tests@3 · {used['model']} · tokens",
        "    unknown · cost unknown",
        f"  {path}#2 claimed",
        f"    coding.tests@3 (stale) · {used['model']} ·",
        "    tokens unknown · cost unknown",
        f"  {path}#3 failed",
        "    coding.tests@default (from the code) ·",
        f"    {used['model']} · 123456→12345 tokens ·",
        "    $0.012345 · cut off",
    ]
    assert all(len(line) <= 80 for line in calls)


def test_no_secret_reaches_the_database(
    windlass: Callable[..., Said], windlass_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as server:
        monkeypatch.setenv("WINDLASS_MODEL", "openai-chat:big")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("WINDLASS_TAG_REQUESTS", "1")
        assert windlass("run", "coding", "A function slugify(text)", "--yes", "--quiet").code == 0
    with sqlite3.connect(windlass_home / "windlass.db") as database:
        assert KEY not in "\n".join(database.iterdump())
    database.close()
