"""Items are checked before anything is spent, and an error says where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.batch import Item, items_for_each, read_items
from windlass.batch.items import checked_items
from windlass.errors import InputError


def lines(folder: Path, *rows: Any) -> Path:
    path = folder / "items.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_file_of_items(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {
            "id": "a/1",
            "requirement": "Do it.",
            "files": {"x.py": "x"},
            "tests": {"test_x.py": "t"},
            "tags": {"model": "m"},
        },
        "",
        {"message": "And this."},
    )
    first, second = read_items(path)
    assert (first.id, first.message, dict(first.files), dict(first.tests), dict(first.tags)) == (
        "a/1", "Do it.", {"x.py": "x"}, {"test_x.py": "t"}, {"model": "m"},
    )  # fmt: skip
    assert (second.id, second.message) == ("3", "And this.")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{not json", "not a JSON object"),
        ([1], "JSON object"),
        ({"id": "1"}, "neither a requirement nor a message"),
        ({"message": "  "}, "neither a requirement nor a message"),
        ({"message": "x", "file": {}}, "'file'"),
        ({"message": "x", "files": {"../up": ""}}, "../up"),
        ({"message": "x", "files": {"a": 1}}, "texts by path"),
        ({"message": "x", "id": ""}, "printable"),
        ({"message": "x", "id": "a\nb"}, "printable"),
        ({"message": "x", "tags": ["model"]}, "tags"),
        ({"message": "x" * 200_001}, "200,001"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(tmp_path: Path, row: Any, said: str) -> None:
    path = lines(tmp_path, {"id": "fine", "message": "x"}, row)
    with pytest.raises(InputError) as error:
        read_items(path)
    assert "items.jsonl, line 2" in str(error.value)
    assert said in str(error.value)


def test_ids_differ_and_there_is_an_item(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two items with the id 'a'"):
        read_items(lines(tmp_path, {"id": "a", "message": "x"}, {"id": "a", "message": "y"}))
    with pytest.raises(InputError, match="no item"):
        checked_items([])
    with pytest.raises(InputError, match="no file"):
        read_items(tmp_path / "missing.jsonl")


@given(st.lists(st.text(min_size=1, max_size=80), unique=True, min_size=2, max_size=6))
def test_folders_stay_in_place_and_differ_as_ids_do(ids: list[str]) -> None:
    folders = [Item(id, "x").folder for id in ids]
    assert len(set(folders)) == len(ids)
    for folder in folders:
        assert (
            folder not in ("", ".", "..") and "/" not in folder and "\0" not in folder and len(folder) < 100
        )


def test_an_item_for_each_file(tmp_path: Path) -> None:
    (tmp_path / "src/deep").mkdir(parents=True)
    (tmp_path / "src/a.py").write_text("a = 1\n")
    (tmp_path / "src/deep/b.py").write_text("b = 1\n")
    (tmp_path / "src/c.txt").write_text("no\n")
    found = items_for_each(["src/**/*.py"], "Type it", str(tmp_path))
    assert [(item.id, item.names, item.workspace) for item in found] == [
        ("src/a.py", ("src/a.py",), str(tmp_path)),
        ("src/deep/b.py", ("src/deep/b.py",), str(tmp_path)),
    ]
    with pytest.raises(InputError):
        items_for_each(["nothing/*.py"], "Type it", str(tmp_path))
