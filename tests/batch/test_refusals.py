"""A batch that cannot be done is refused whole: no run, no call and no file of it is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import Cli
from windlass.app import App
from windlass.batch import Item, aresume_batch, run_batch
from windlass.errors import BudgetExceeded, InputError
from windlass.settings import ModelSettings, Settings
from windlass.store.batches import BatchStore
from windlass.testing.server import OpenAIServer

FINE = {"id": "fine", "message": "Do it.", "files": {"deep/notes.txt": "Notes.\n"}}
CODE = {"id": "fine", "message": "Do it.", "files": {"slug.py": "x = 1\n"}}


def kept(settings: Settings) -> int:
    """How many runs and batches there are."""

    async def work() -> int:
        app = App(settings)
        try:
            return len(await app.journal.list_runs()) + len(await BatchStore(app.database).list())
        finally:
            await app.close()

    return asyncio.run(work())


def tree(folder: Path) -> set[str]:
    """Everything below a folder, but for the database."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.name.startswith("w.db")}


def refused(settings: Settings, server: OpenAIServer, folder: Path, *items: Any, **given: Any) -> str:
    """The sentence with which a batch is refused; nothing is left of it."""
    before = tree(folder)
    workflow = given.pop("workflow", "chat")
    with pytest.raises(InputError) as error:
        list(run_batch(items, workflow, out=folder / "out", settings=settings, **given))
    assert server.records == []
    assert kept(settings) == 0
    assert tree(folder) == before
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("workflow", "item", "says"),
    [
        ("chat", {"tags": {"model": "nobody:x"}}, "'nobody' in 'nobody:x' is not a model provider"),
        ("chat", {"tags": {"colour": "red"}}, "No tag is called 'colour'"),
        ("chat", {"files": {"a.py": "1", "A.py": "2"}}, "already name 'a.py'"),
        ("chat", {"files": {"a": "1", "a/b": "2"}}, "use 'a' as a file"),
        ("chat", {"files": {"a.py": "1"}, "tests": {"a.py": "2"}}, "both hold a.py, with different texts"),
        ("chat", {"files": {"a.py": "\ud800"}}, "The text of a.py in files is not UTF-8 text"),
        ("chat", {"files": {"a.py": "a\0b"}}, "NUL character"),
        ("chat", {"files": {"a.py": "x" * 600_001}}, "a.py has 600,001 characters"),
        ("write", {"files": {"src/a.py": "1"}, "tags": {"write": "src"}}, "src is a folder"),
        ("write", {"files": {"Readme.md": "1"}, "tags": {"write": "README.md"}}, "from 'Readme.md'"),
        ("write", {"files": {"a": "1"}, "tags": {"write": "a/b.md"}}, "a is a file"),
        ("write-tests", {"files": {"a.py": "1"}, "tags": {"write": "a"}}, "a.py is the file under test"),
    ],
)
def test_one_bad_item_refuses_all(
    settings: Settings,
    server: OpenAIServer,
    tmp_path: Path,
    workflow: str,
    item: Mapping[str, Any],
    says: str,
) -> None:
    said = refused(
        settings, server, tmp_path, FINE, {"id": "bad", "message": "Do it.", **item}, workflow=workflow
    )
    assert said.startswith(("Item 'bad': ", "Item 2: "))
    assert says in said


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"files": {"a.py": "1", "A.py": "2"}}, "already name 'a.py'"),
        ({"files": {"a.py": "x" * 600_001}}, "a.py has 600,001 characters"),
        ({"tags": {"write": "a.py"}}, "no use for the tag"),
        ({"tags": {"model": "nobody:x"}}, "'nobody' in 'nobody:x'"),
    ],
)
def test_the_coding_workflow_too(
    settings: Settings, server: OpenAIServer, tmp_path: Path, item: Mapping[str, Any], says: str
) -> None:
    bad = {"id": "bad", "message": "Do it.", **item}
    assert says in refused(settings, server, tmp_path, CODE, bad, workflow="coding")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda root: Item("b", "x", workspace=str(root / "no"), names=("a.py",)), "no does not exist"),
        (lambda root: Item("b", "x", workspace=str(root), names=("a.py",)), "There is no file a.py in"),
        (lambda root: Item("b", "x", workspace=str(root), names=("bin.py",)), "bin.py is a binary file"),
        (lambda root: Item("b", "x", names=("a.py",)), "There is no file a.py in"),
        (lambda root: Item("b", "x", files={"a.py": "1", "A.py": "2"}), "already name 'a.py'"),
    ],
)
def test_items_that_are_made_in_python(
    settings: Settings, server: OpenAIServer, tmp_path: Path, make: Callable[[Path], Item], says: str
) -> None:
    (tmp_path / "bin.py").write_bytes(b"\0\1")
    assert says in refused(settings, server, tmp_path, FINE, make(tmp_path), workflow="auto")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"budget": "lots"}, "The budget must be an amount in USD"),
        ({"budget": -1}, "allows no call"),
        ({"concurrency": 0}, "from 1 to 1000, not 0"),
        ({"max_repair": 2}, "No option is called 'max_repair'"),
        ({"test_command": "nosuchcmd -q"}, "There is no command 'nosuchcmd'"),
        ({"test_command": "'"}, "cannot be read"),
        ({"workspaces": "ftp://x/y"}, "unknown kind"),
    ],
)
def test_what_is_asked_of_the_whole_batch(
    settings: Settings, server: OpenAIServer, tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    assert says in refused(settings, server, tmp_path, FINE, **given)


def test_an_option_of_other_workflows(settings: Settings, server: OpenAIServer, tmp_path: Path) -> None:
    said = refused(settings, server, tmp_path, CODE, workflow="coding", to="a.py")
    assert said == "The workflow coding has no use for the option 'to'."


def test_a_price_that_an_items_model_has_not(
    settings: Settings, server: OpenAIServer, tmp_path: Path
) -> None:
    bare = ModelSettings(model="openai-chat:nobody-knows", base_url=server.base_url, api_key_env="KEY")
    settings.models["bare"] = bare
    with pytest.raises(BudgetExceeded, match=r"^Item 'bad': .*price"):
        bad = {"id": "bad", "message": "x", "tags": {"model": "bare"}}
        list(run_batch([FINE, bad], "chat", out=tmp_path / "out", budget=1, settings=settings))
    assert kept(settings) == 0
    assert tree(tmp_path) == set()


def test_what_was_there_before_stays(settings: Settings, server: OpenAIServer, tmp_path: Path) -> None:
    mine = tmp_path / "out" / "items" / "other"
    mine.mkdir(parents=True)
    (mine / "n.txt").write_text("mine")
    (tmp_path / "out" / "items" / "fine").mkdir()
    (tmp_path / "out" / "items" / "fine" / "old.txt").write_text("old")
    other = {"id": "other", "message": "x", "files": {"n.txt": "theirs"}}
    said = refused(settings, server, tmp_path, FINE, other)
    assert said.startswith(f"Item 'other': n.txt is in {mine} already, with another text")
    assert (mine / "n.txt").read_text() == "mine"
    (mine / "n.txt").unlink()
    mine.rmdir()
    mine.write_text("a file")
    assert "Item 'other': " in refused(settings, server, tmp_path, FINE, {"id": "other", "message": "x"})


def test_a_batch_that_was_refused_is_begun_once_it_is_right(
    settings: Settings, server: OpenAIServer, tmp_path: Path
) -> None:
    wrong = {"id": "two", "message": "x", "files": {"a": "1"}, "tags": {"write": "a/b"}}
    refused(settings, server, tmp_path, FINE, wrong, workflow="write")
    # Also with other texts under the same names: nothing of the first try is in the way.
    again: list[Mapping[str, Any]] = [
        {**FINE, "files": {"deep/notes.txt": "Others.\n"}},
        {"id": "two", "message": "x"},
    ]
    found = list(run_batch(again, "chat", out=tmp_path / "out", settings=settings))
    assert [r.status.value for r in found] == ["Success", "Success"]
    assert (tmp_path / "out/items/fine/deep/notes.txt").read_text() == "Others.\n"


def test_folders_are_named_from_the_root(
    settings: Settings, server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = run_batch([FINE], "chat", out="out", workspaces="elsewhere", settings=settings)
    assert found.report["workspace"] == str(tmp_path / "elsewhere" / "fine")


async def test_a_budget_that_is_none_is_not_kept(
    settings: Settings, server: OpenAIServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(
        lambda: list(run_batch([FINE], "chat", out=tmp_path / "o", budget=1, settings=settings))
    )
    for given in ({"budget": "lots"}, {"concurrency": 2000}):
        with pytest.raises(InputError):
            async for _ in aresume_batch("last", settings=settings, **given):
                pass
    app = App(settings)
    assert (await BatchStore(app.database).get("last")).options["budget"] == "1"
    await app.close()


def test_the_command_names_the_line(cli: Cli, server: OpenAIServer, tmp_path: Path) -> None:
    bad = {"id": "two", "message": "x", "tags": {"write": "deep"}, "files": FINE["files"]}
    (tmp_path / "items.jsonl").write_text(f"{json.dumps(FINE)}\n\n{json.dumps(bad)}\n")
    done = cli("batch", "items.jsonl", "--workflow", "write", "--out", "out")
    assert done.code == 2
    assert "items.jsonl, line 3, item 'two': deep is a folder" in " ".join(done.err.split())
    assert server.records == []
    assert not (tmp_path / "out").exists()
    assert cli("runs", "list", "--json").out.strip() == "[]"
    assert cli("batch", "list", "--json").out.strip() == "[]"


def test_a_place_that_is_a_file(settings: Settings, server: OpenAIServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot be made" in refused(settings, server, tmp_path, FINE, workspaces=str(tmp_path / "file"))
