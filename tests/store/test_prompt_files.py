"""Versions as files: out, in again, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.errors import InputError, TemplateError
from windlass.prompt import MemoryPromptStore, files

relaxed = settings(deadline=None)  # the machine may be busy


def filled() -> MemoryPromptStore:
    store = MemoryPromptStore()
    store.ensure("summary", "Sum up {{text}}")
    store.add("summary", "Sum up\n\n{{text}}\n", note="two: lines", author="me", model_hint="m")
    store.use("summary", 2)
    store.ensure("dir/ä name", "---\nx\n---\n")
    return store


def test_one_file_a_version_and_back(any_store, tmp_path):
    written = files.export(filled(), tmp_path)
    assert sorted(path.name for path in written)[-2:] == ["summary.v0001.md", "summary.v0002.md"]
    assert len(written) == 3
    taken = files.import_files(any_store, written)
    assert [(each.name, each.version_no, each.added) for each in taken] == [
        ("dir/ä name", 1, True),
        ("summary", 1, True),
        ("summary", 2, True),
    ]
    version = any_store.versions("summary")[1]
    assert (version.content, version.note, version.author, version.origin, version.model_hint) == (
        "Sum up\n\n{{text}}\n",
        "two: lines",
        "me",
        "import",
        "m",
    )
    assert not version.is_current_effective
    assert any_store.latest("dir/ä name").prompt_content == "---\nx\n---\n"
    again = files.import_files(any_store, written)
    assert [each.added for each in again] == [False, False, False]
    assert len(any_store.versions("summary")) == 2


def test_importing_more_than_is_kept_is_idempotent_too(tmp_path):
    source, target = MemoryPromptStore(), MemoryPromptStore()
    source.ensure("p", "text 1")
    for number in range(2, 8):
        source.add("p", f"text {number}")
    written = files.export(source, tmp_path, retired=True)
    assert sum(each.added for each in files.import_files(target, written)) == 7
    assert sum(each.added for each in files.import_files(target, written)) == 0


def test_the_file_reads_well(tmp_path):
    files.export(filled(), tmp_path, ["summary"])
    lines = (tmp_path / "summary.v0002.md").read_text().splitlines()
    assert lines[:4] == ["---", "prompt: summary", "version: 2", "in_effect: true"]
    assert lines[-5:] == ["---", "Sum up", "", "{{text}}", ""]


@relaxed
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(str.strip))
def test_any_text_survives(text):
    store = MemoryPromptStore()
    store.ensure("p", text)
    assert files.parse(files.dump(store.versions("p")[0]), "f").text == text


def test_changed_line_ends_are_forgiven_a_changed_text_is_not(tmp_path):
    (path,) = files.export(filled(), tmp_path, ["dir/ä name"])
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert files.parse(path.read_bytes().decode(), "f").text == "---\nx\n---\n"
    source = path.read_text().replace("x", "y")
    with pytest.raises(InputError, match="not the one it was exported with"):
        files.parse(source, "f")
    without = "".join(line for line in source.splitlines(True) if not line.startswith("sha256"))
    assert files.parse(without, "f").text == "---\ny\n---\n"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("no front matter", "f is no prompt file"),
        ("---\nprompt: p\n", "f is no prompt file"),
        ("---\nprompt: [\n---\nx", "not YAML in line 3"),
        ("---\n- a\n---\nx", "must name its prompt"),
        ("---\nprompt: p\ncolour: red\n---\nx", "unknown entries: colour"),
        ("---\nprompt: p\nversion: -1\n---\nx", "whole number above 0"),
        ("---\nprompt: p\nversion: yes\n---\nx", "whole number above 0"),
        ("---\nprompt: p\nnote: [1]\n---\nx", "note must be text"),
        ("---\nprompt: p\n---\n \n", "cannot be empty"),
        ("---\nprompt: !!python/object/apply:os.getcwd []\n---\nx", "not YAML"),
    ],
)
def test_files_that_are_refused(source, sentence):
    with pytest.raises(InputError, match=sentence):
        files.parse(source, "f")


def test_nothing_is_imported_when_one_file_is_bad(tmp_path):
    store = filled()
    good = tmp_path / "a.md"
    good.write_text("---\nprompt: summary\n---\nGood {{text}}\n")
    bad = tmp_path / "b.md"
    bad.write_text("---\nprompt: summary\n---\nBad {{unknown}}\n")
    with pytest.raises(TemplateError, match=r"cannot use '\{\{unknown\}\}'"):
        files.import_files(store, [good, bad])
    with pytest.raises(InputError, match="cannot be read: No such file"):
        files.import_files(store, [good, tmp_path / "none.md"])
    assert len(store.versions("summary")) == 2
    bad.write_bytes(b"---\nprompt: p\n---\n\xff")
    with pytest.raises(InputError, match="no UTF-8"):
        files.import_files(store, [bad])
