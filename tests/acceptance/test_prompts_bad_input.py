"""What ``windlass prompts`` says to bad input and bad luck: one sentence, nothing half done, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.cli import Cli, Done, Steps
from tests.acceptance.test_prompts_cli import BETTER, EQUAL, NAME, half_right, task_number, values_cases
from windlass.testing.server import Answer, Fault, OpenAIServer, Request

BAD = (
    (("show", "nothing.like.it"), "There is no prompt 'nothing.like.it'"),
    (("show", "coding.sumary"), "did you mean coding.summary"),
    (("add", "coding.sumary", EQUAL), "did you mean coding.summary"),
    (("experiment", "start", "coding.sumary", "2"), "did you mean coding.summary"),
    (("optimise", "coding.sumary", "--cases", "cases.jsonl"), "did you mean coding.summary"),
    (("use", NAME, "77"), "no version 77"),
    (("use", NAME, "2"), "retired"),
    (("experiment", "start", NAME, "2"), "retired"),
    (("experiment", "status", NAME), "never"),
    (("add", NAME, ""), "empty"),
    (("add", NAME, "no variable at all"), "{{requirement}}"),
    (("add", NAME, "@big.md"), "200,000"),
    (("use", NAME, "1", "--expected-revision", "99"), "changed by someone else"),
    (("rollback", NAME), "no earlier live version"),
    (("promote", NAME, "--auto"), "no evidence"),
    (("drift", "--adopt", NAME), "has not changed"),
    (("import", "plain.md"), "plain.md is no prompt file"),
    (("import", "empty"), "no .md file"),
    (("export", NAME), "the folder comes first"),
    (("compare", NAME, "--versions", "1;6", "--cases", "cases.jsonl"), "two numbers"),
    (("compare", NAME, "--versions", "1,1", "--cases", "cases.jsonl"), "with itself"),
    (("compare", NAME, "--versions", "1,77", "--cases", "cases.jsonl"), "no version 77"),
    (("compare", NAME, "--versions", "1,6", "--cases", "nowhere.jsonl"), "nowhere.jsonl"),
    (("compare", NAME, "--versions", "1,6", "--cases", "bad.jsonl"), "bad.jsonl"),
    (("compare", NAME, "--versions", "1,6", "--cases", "neither.jsonl"), "values and expect"),
    (("optimise", NAME, "--cases", "one.jsonl"), "At least two cases"),
)


def one_sentence(done: Done, said: str) -> None:
    assert done.code in (1, 2), done.out
    assert said in done.err, done.err
    assert done.err.startswith("Error: ")
    assert done.err.count("Error:") == 1
    assert "Traceback" not in done.err
    assert "fault of its own" not in done.err


@pytest.fixture
def spoilt(tmp_path: Path, windlass_home: Path) -> Cli:
    """A home in which version 2 of the prompt is retired, and a folder with everything that is wrong."""
    folder, cli = tmp_path, Cli(windlass_home, tmp_path, "http://127.0.0.1:9/v1")
    for number in range(5):
        assert cli("prompts", "add", NAME, f"{EQUAL} {number}").code == 0
    values_cases(folder / "cases.jsonl", 4)
    values_cases(folder / "one.jsonl", 1)
    (folder / "bad.jsonl").write_text("{}\n[1]\n")
    (folder / "neither.jsonl").write_text('{"id": "x"}\n')
    (folder / "big.md").write_text("{{requirement}}" + "x" * 1_000_001)
    (folder / "plain.md").write_text("no front matter")
    (folder / "empty").mkdir()
    return cli


def test_bad_input_is_one_sentence_and_changes_nothing(spoilt: Cli) -> None:
    for arguments, said in BAD:
        one_sentence(spoilt("prompts", *arguments), said)
    versions = json.loads(spoilt("prompts", "show", NAME, "--versions", "--json").out)
    assert [v["version_no"] for v in versions] == [1, 2, 3, 4, 5, 6]
    assert [v["version_no"] for v in versions if v["archived_at"]] == [2, 3]
    assert len(json.loads(spoilt("prompts", "log", NAME, "--json").out)) == 1


def test_of_two_switches_at_once_one_is_refused(cli: Cli) -> None:
    cli("prompts", "add", NAME, BETTER)
    cli("prompts", "add", NAME, EQUAL)
    seen = str(cli("prompts", "show", NAME, "--json").object["revision"])
    first = cli("prompts", "use", NAME, "2", "--expected-revision", seen, "--json")
    second = cli("prompts", "use", NAME, "3", "--expected-revision", seen)
    assert first.object["changed"] and first.object["revision"] > int(seen)
    one_sentence(second, "changed by someone else")
    assert cli("prompts", "show", NAME, "--json").object["version"] == 2


def test_nothing_of_a_folder_comes_in_when_one_file_was_tampered_with(cli: Cli, tmp_path: Path) -> None:
    cli("prompts", "add", NAME, BETTER)
    cli("prompts", "export", "out", NAME)
    files = sorted((tmp_path / "out").glob("*.md"))
    head, _, text = files[0].read_text().rpartition("---\n")
    kept = "".join(line for line in head.splitlines(keepends=True) if not line.startswith("sha256"))
    files[0].write_text(f"{kept}---\n{text.replace('Sum up', 'Retell')}")  # an honest edit
    files[1].write_text(files[1].read_text().replace("MARVELLOUS", "OTHERWISE"))
    one_sentence(cli("prompts", "import", "out"), files[1].name)
    assert len(json.loads(cli("prompts", "show", NAME, "--versions", "--json").out)) == 2
    files[1].unlink()
    added = json.loads(cli("prompts", "import", "out", "--json").out)
    assert [(item["version_no"], item["added"]) for item in added] == [(3, True)]


def test_a_refused_edit_is_not_lost(cli: Cli, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/{{requirement}}/my long work/" "$1"\n')
    editor.chmod(0o755)
    refused = cli("prompts", "edit", NAME, EDITOR=str(editor), TMPDIR=str(tmp_path))
    assert refused.code == 2 and "must keep '{{requirement}}'" in refused.err
    (kept,) = tmp_path.glob(f"{NAME}-*.md")
    assert str(kept) in refused.err and "my long work" in kept.read_text()
    one_sentence(cli("prompts", "edit", NAME, EDITOR="no-such-editor"), "set EDITOR")
    unchanged = cli("prompts", "edit", NAME, EDITOR="true")
    assert unchanged.code == 0 and "Nothing changed" in unchanged.out
    assert len(json.loads(cli("prompts", "show", NAME, "--versions", "--json").out)) == 1


def test_the_database_goes_while_the_text_is_edited(cli: Cli, tmp_path: Path) -> None:
    cli("prompts", "list")
    database = cli.home / "windlass.db"
    editor = tmp_path / "editor"
    editor.write_text(
        f'#!/bin/sh\nsed -i "s/Sum up/Retell/" "$1"\nfor f in {database}*; do mv "$f" "$f.away"; done\necho garbage > {database}\n'
    )
    editor.chmod(0o755)
    failed = cli("prompts", "edit", NAME, EDITOR=str(editor), TMPDIR=str(tmp_path))
    assert failed.code == 1 and "Traceback" not in failed.err
    (kept,) = tmp_path.glob(f"{NAME}-*.md")
    database.unlink()
    for file in cli.home.glob("*.away"):
        file.rename(file.with_suffix(""))
    assert cli("prompts", "add", NAME, f"@{kept}", "--json").object["version"] == 2


@pytest.fixture
def model() -> Steps:
    return Steps({"trial_step": half_right})


def test_the_database_goes_in_the_middle_of_a_comparison(
    cli: Cli, tmp_path: Path, model: Steps, server: OpenAIServer
) -> None:
    cases = values_cases(tmp_path / "cases.jsonl", 8)
    cli("prompts", "add", NAME, EQUAL)
    away = tmp_path / "away"
    away.mkdir()

    def taken(request: Request) -> Answer | Fault:
        if server.count() > 6:  # three cases with two versions each are done, one after the other
            for file in cli.home.glob("windlass.db*"):
                file.rename(away / file.name)
        return half_right(request)

    model.given["trial_step"] = taken
    arguments = (
        "prompts",
        "compare",
        NAME,
        "--versions",
        "1,2",
        "--cases",
        str(cases),
        "--concurrency",
        "1",
        "--json",
    )
    failed = cli(*arguments)
    assert failed.code == 1 and "Traceback" not in failed.err, failed.err
    assert failed.err.count("Error:") == 1 and "windlass.db" in failed.err
    for file in away.iterdir():
        file.rename(cli.home / file.name)
    model.given["trial_step"] = half_right
    server.records.clear()
    done = cli(*arguments)
    assert done.code == 0, done.err
    assert done.object["both"] + done.object["neither"] == 8 and done.object["old"]["errors"] == 0
    # What was paid for before the database went is not asked again.
    assert 8 <= server.count() <= 10
    assert {task_number(record.request) for record in server.records} == {3, 4, 5, 6, 7}


def test_what_ended_in_an_error_is_tried_again_and_counts_for_nothing(
    cli: Cli, tmp_path: Path, model: Steps, server: OpenAIServer
) -> None:
    cases = values_cases(tmp_path / "cases.jsonl", 4)
    cli("prompts", "add", NAME, EQUAL)
    model.given["trial_step"] = Fault("status", status=401, message="no")
    arguments = ("prompts", "compare", NAME, "--versions", "1,2", "--cases", str(cases))
    broken = cli(*arguments, "--json").object
    assert (broken["old"]["errors"], broken["new"]["errors"], broken["decision"]) == (4, 4, "not enough")
    assert "API key" in broken["problem"]
    assert "API key" in cli(*arguments).out
    model.given["trial_step"] = half_right
    found = cli(*arguments, "--json").object
    assert (found["old"]["errors"], found["old"]["passes"], found["old"]["fails"]) == (0, 2, 2)
    assert found["problem"] is None
    # The runs of a comparison say nothing about how the versions do in real work.
    assert json.loads(cli("prompts", "stats", NAME, "--json").out) == []
