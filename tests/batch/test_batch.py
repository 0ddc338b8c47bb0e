"""Batches through the front doors: the command and the Python API, with a real local model server."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import Cli, Steps
from tests.batch.conftest import chat
from windlass.app import App
from windlass.batch import aresume_batch, arun_batch, resume_batch, run_batch
from windlass.errors import BudgetExceeded, InputError
from windlass.settings import Settings
from windlass.testing.server import Answer, OpenAIServer


def items(number: int, *, failing: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    return [
        {"id": f"i{n}", "message": f"Message {n} {'fail' if n in failing else ''}"} for n in range(number)
    ]


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def test_every_item_once_so_many_at_a_time(settings: Settings, server: OpenAIServer, tmp_path: Path) -> None:
    server.handler = chat(0.2)
    out = tmp_path / "out"
    found = list(run_batch(iter(items(9, failing=(4,))), "chat", out=out, concurrency=3, settings=settings))
    assert Counter(r.status.value for r in found) == {"Success": 8, "Failure": 1}
    assert [r.item_id for r in found if r.failed] == ["i4"]
    assert server.peak <= 3
    assert len(server.records) == 9
    assert not any(record.request.stream for record in server.records)
    assert [row["id"] for row in rows(out)] == [f"i{n}" for n in range(9)]
    assert "I will not" in (out / "report.md").read_text()
    assert (out / "report.html").read_text().startswith("<!doctype html>")


def test_files_of_an_item_are_its_own(settings: Settings, server: OpenAIServer, tmp_path: Path) -> None:
    server.handler = lambda request: Answer(f"a.txt\n```\n{'one' if 'ONE' in request.text else 'two'}\n```\n")
    both = [{"id": name, "message": "Fill it in", "files": {"a.txt": name}} for name in ("ONE", "TWO")]
    found = list(run_batch(both, "auto", out=tmp_path / "out", settings=settings))
    assert [r.status.value for r in found] == ["Success", "Success"], [r.error for r in found]
    assert (tmp_path / "out/items/ONE/a.txt").read_text().strip() == "one"
    assert (tmp_path / "out/items/TWO/a.txt").read_text().strip() == "two"


def test_only_what_has_not_succeeded_is_done_again(
    settings: Settings, server: OpenAIServer, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    list(run_batch(items(4, failing=(1, 2)), "chat", out=out, settings=settings))
    before = len(server.records)
    server.handler = lambda request: Answer("Now it works.")
    again = list(resume_batch("last", only_failures=True, settings=settings))
    assert sorted(r.item_id for r in again) == ["i1", "i2"]
    assert len(server.records) == before + 2
    assert Counter(row["status"] for row in rows(out)) == {"Success": 4}
    assert list(resume_batch("last", settings=settings)) == []


def test_the_results_of_runs_that_were_forgotten_stay(
    settings: Settings, server: OpenAIServer, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    list(run_batch(items(3, failing=(1,)), "chat", out=out, settings=settings))
    before = rows(out)

    async def forget_what_succeeded() -> None:
        app = App(settings)
        for row in before[::2]:
            await app.journal.delete_run(row["run_id"])
        await app.close()

    asyncio.run(forget_what_succeeded())
    server.handler = lambda request: Answer("Now it works.")
    assert [r.item_id for r in resume_batch("last", settings=settings)] == ["i1"]
    after = rows(out)
    assert [after[0], after[2]] == [before[0], before[2]]
    assert (after[1]["id"], after[1]["status"]) == ("i1", "Success")
    assert "i2" in (out / "report.html").read_text()


async def test_one_budget_for_all(settings: Settings, server: OpenAIServer, tmp_path: Path) -> None:
    # A call costs 0.00012 USD and may cost 0.0023: the budget holds one worst case and a few true costs.
    out = tmp_path / "out"
    found = [
        r
        async for r in arun_batch(
            items(40), "chat", out=out, budget="0.0030", concurrency=2, settings=settings
        )
    ]
    ended = Counter(r.status.value for r in found)
    assert ended["Success"] >= 1
    assert ended["Failure"] >= 1
    assert "batch:" in next(r.error or "" for r in found if r.failed)
    # The first item that does not fit ends the session: the rest is not begun only to fail the same way.
    assert sum(ended.values()) < 40
    spent = Decimal("0.00012") * ended["Success"]
    assert spent <= Decimal("0.0030")
    assert len(rows(out)) == 40
    more = [r async for r in aresume_batch("last", budget="1", settings=settings)]
    assert {r.status.value for r in more} == {"Success"}
    assert Counter(row["status"] for row in rows(out)) == {"Success": 40}
    assert len(server.records) == 40


def test_a_budget_needs_a_price(settings: Settings, tmp_path: Path) -> None:
    bare = settings.model_copy(update={"model": "openai-chat:nobody-knows"})
    bare.__dict__["environment"] = {"OPENAI_API_KEY": "k"}
    with pytest.raises(BudgetExceeded, match="price"):
        list(run_batch(items(1), "chat", out=tmp_path / "out", budget=1, settings=bare))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workflow": "nonsense"}, "nonsense"),
        ({"workflow": "write-pages"}, "Item 'i0'"),
        ({"workflow": "auto"}, "Item 'i0'"),
    ],
)
def test_what_cannot_begin_costs_nothing(
    settings: Settings, server: OpenAIServer, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        list(run_batch(items(2), out=tmp_path / "out", settings=settings, **given))
    assert server.records == []


def test_a_folder_holds_one_batch(settings: Settings, tmp_path: Path) -> None:
    list(run_batch(items(1), "chat", out=tmp_path / "out", settings=settings))
    with pytest.raises(InputError, match="holds the results of a batch"):
        list(run_batch(items(1), "chat", out=tmp_path / "out", settings=settings))


def test_leaving_the_loop_stops_with_care(settings: Settings, server: OpenAIServer, tmp_path: Path) -> None:
    server.handler = chat(0.05)
    for result in run_batch(items(30), "chat", out=tmp_path / "out", concurrency=2, settings=settings):
        assert result.item_id
        break
    asked = len(server.records)
    assert asked < 30
    assert all(record.outcome == "answered" for record in server.records)
    rest = list(resume_batch("last", settings=settings))
    assert {r.status.value for r in rest} == {"Success"}
    # What was under way when the loop was left had been kept.
    assert len(server.records) == 30


def write_items(folder: Path, number: int) -> None:
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items(number)))


def test_killed_at_half_and_resumed(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    server.handler = chat(0.2)
    write_items(tmp_path, 16)
    going = cli.start(
        "batch", "items.jsonl", "--workflow", "chat", "--out", "out", "--concurrency", "4", "--quiet"
    )
    assert server.wait_for("answered", number=7, timeout=200)
    going.send_signal(signal.SIGKILL)
    going.communicate()
    server.handler = chat()
    done = cli("batch", "resume", "last", "--json")
    assert done.code == 0, done.err
    assert done.object["counts"] == {"Success": 16}
    assert [row["id"] for row in rows(tmp_path / "out")] == [f"i{n}" for n in range(16)]
    answered = Counter(r.request.run_id for r in server.records if r.outcome == "answered")
    assert len(answered) == 16
    # Calls that were under way may be made again, those that had been kept are not.
    assert sum(answered.values()) <= 16 + 4


def test_stopped_once_running_calls_finish(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    server.handler = chat(3.0)  # long enough for the signal to be heard on any machine
    write_items(tmp_path, 8)
    going = cli.start("batch", "items.jsonl", "--workflow", "chat", "--out", "out", "--concurrency", "2")
    assert server.wait_for("open", number=2, timeout=200)
    going.send_signal(signal.SIGINT)
    out, err = going.communicate(timeout=200)
    assert going.returncode == 130, err
    assert "windlass batch resume" in out
    assert [r.outcome for r in server.records] == ["answered", "answered"]
    server.handler = chat()
    assert cli("batch", "resume", "last", "--quiet").code == 0
    assert len(server.records) == 8


def test_each_file_in_place(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    server.handler = lambda request: Answer("```python\nx: int = 1\n```\n")
    (tmp_path / "src").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"src/{name}.py").write_text("x = 1\n")
    done = cli("batch", "--each", "src/**/*.py", "--message", "Add types", "--out", "out", "--json")
    assert done.code == 0, done.out + done.err
    assert [(tmp_path / f"src/{name}.py").read_text() for name in ("a", "b")] == ["x: int = 1\n"] * 2
    assert not (tmp_path / "out/items").exists()


def test_the_coding_workflow_with_given_tests(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    server.handler = Steps({})
    test = 'from slug import slugify\n\n\ndef test_it():\n    assert slugify("A B") == "a-b"\n'
    item = {
        "id": "slug",
        "requirement": "slugify",
        "files": {"slug.py": "def slugify(text): ...\n"},
        "tests": {"test_slug.py": test},
    }
    (tmp_path / "items.jsonl").write_text(json.dumps(item) + "\n")
    done = cli("batch", "items.jsonl", "--out", "out")
    assert done.code == 0, done.out + done.err
    (row,) = rows(tmp_path / "out")
    assert row["tests"]["passed"] == 1
    assert (tmp_path / "out/items/slug/test_slug.py").read_text() == test
    assert "1 item: 1 Success. Cost unknown." in done.out
    told = cli("batch", "report", "last")
    assert (told.code, "1 item: 1 Success. Report: " in told.out) == (0, True), told.err
    assert "slug" in (tmp_path / "out/report.html").read_text()


def test_the_live_table(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    server.handler = chat(0.4)
    write_items(tmp_path, 6)
    seen = cli.terminal("batch", "items.jsonl", "--workflow", "chat", "--out", "out", "--concurrency", "2")
    seen.wait_for("2/6")
    seen.wait_for("left")
    assert seen.end() == 0
    assert "6 items: 6 Success" in seen.shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["batch", "--out", "o"], "ITEMS.jsonl"),
        (["batch", "items.jsonl", "--each", "*.py", "--out", "o"], "either"),
        (["batch", "--each", "*.py", "--out", "o"], "--message"),
        (["batch", "nothing.jsonl", "--out", "o"], "There is no file nothing.jsonl"),
        (["batch", "resume", "nope1"], "No batch is called"),
        (["batch", "resume", "last"], "There is no batch yet"),
        (["batch", "items.jsonl"], "--out"),
    ],
)
def test_wrong_usage_is_one_sentence(cli: Cli, arguments: list[str], said: str) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


async def test_a_batch_outlives_the_loop_that_began_it(
    settings: Settings, server: OpenAIServer, tmp_path: Path
) -> None:
    server.handler = chat(5.0)
    going = arun_batch(items(2), "chat", out=tmp_path / "out", settings=settings)
    waiting = asyncio.ensure_future(anext(going))
    assert await asyncio.to_thread(server.wait_for, "open", number=2)
    server.handler = chat()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await going.aclose()
    rest = [r async for r in aresume_batch("last", settings=settings)]
    assert Counter(row["status"] for row in rows(tmp_path / "out")) == {"Success": 2}
    assert len(rest) <= 2
