"""Versions of prompts from the command line: switch them, compare them, and promote only what is proven."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.cli import GOOD, Cli, Steps
from windlass.testing.server import Answer, OpenAIServer, Request

NAME = "coding.summary"
BETTER = "Say MARVELLOUS. Requirement: {{requirement}} Files: {{plan}} Facts: {{facts}}"
EQUAL = "Say it another way. Requirement: {{requirement}} Files: {{plan}} Facts: {{facts}}"


def values_cases(path: Path, count: int) -> Path:
    """Cases whose answer must hold the word ``right``."""
    rows = [
        {
            "id": f"case-{n}",
            "values": {"requirement": f"task {n}", "plan": "a.py", "facts": "none"},
            "expect": {"contains": ["right"]},
        }
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def task_number(request: Request) -> int:
    """Which of these cases it is."""
    return int(request.text.partition("task ")[2].split()[0])


def half_right(request: Request) -> Answer:
    """The better prompt gets every case right, any other every second one."""
    right = "MARVELLOUS" in request.text or task_number(request) % 2
    return Answer("right" if right else "wrong")


@pytest.fixture
def model() -> Steps:
    """Answers the trial step by the prompt's words."""
    return Steps({"trial_step": half_right})


def test_the_better_version_is_promoted_on_evidence_and_the_log_shows_it(cli: Cli, tmp_path: Path) -> None:
    cases = values_cases(tmp_path / "cases.jsonl", 40)
    assert cli("prompts", "add", NAME, BETTER, "--note", "louder").code == 0
    refused = cli("prompts", "promote", NAME, "--auto")
    assert refused.code == 2 and "no evidence" in refused.err
    arguments = ("prompts", "compare", NAME, "--versions", "1,2", "--cases", str(cases), "--json")
    done = cli(*arguments)
    assert done.code == 0, done.err
    found = done.object
    assert found["decision"] == "promote" and found["e_value"] >= 20
    assert found["only_old"] == 0 and found["only_new"] >= 5
    assert found["ended"] == "decided" and found["both"] + found["only_new"] < 40
    promoted = cli("prompts", "promote", NAME, "--auto", "--author", "ada")
    assert promoted.code == 0, promoted.err
    rows = json.loads(cli("prompts", "list", "--json").out)
    assert next(r["effective"] for r in rows if r["name"] == NAME) == 2
    log = json.loads(cli("prompts", "log", NAME, "--json").out)
    assert log[-1]["kind"] == "promote" and log[-1]["evidence"]["e_value"] == found["e_value"]
    assert "better than version 1" in cli("prompts", "log", NAME).out


def test_an_equal_version_is_not_promoted_and_a_second_look_costs_nothing(
    cli: Cli, tmp_path: Path, server: OpenAIServer
) -> None:
    cases = values_cases(tmp_path / "cases.jsonl", 12)
    cli("prompts", "add", NAME, EQUAL)
    arguments = ("prompts", "compare", NAME, "--versions", "1,2", "--cases", str(cases))
    done = cli(*arguments, "--promote")
    assert done.code == 0 and "Not enough evidence" in done.out, done.err
    asked = len(server.records)
    assert asked == 24
    again = cli(*arguments, "--json").object
    assert again["ran"] == 0 and len(server.records) == asked
    assert cli("prompts", "promote", NAME, "--auto").code == 2
    rows = json.loads(cli("prompts", "list", "--json").out)
    assert next(r["effective"] for r in rows if r["name"] == NAME) == 1


def test_files_go_out_and_come_back_and_a_changed_one_is_refused(cli: Cli, tmp_path: Path) -> None:
    cli("prompts", "add", NAME, BETTER)
    assert cli("prompts", "export", "out", NAME).code == 0
    assert "0 added, 2 there already" in cli("prompts", "import", "out").out


def test_drift_is_noticed_shown_and_taken_over_on_request(cli: Cli) -> None:
    code = (
        "from windlass.app import App; app = App(); "
        f"app.prompts.ensure({NAME!r}, 'An older default: {{{{requirement}}}} {{{{plan}}}} {{{{facts}}}}')"
    )
    subprocess.run([sys.executable, "-c", code], env=cli.env(), check=True)
    first = cli("prompts", "drift")
    assert "changed in the code" in first.err
    assert "-An older default" in first.out and "+Sum up" in first.out and f"--adopt {NAME}" in first.out
    assert [d["name"] for d in json.loads(cli("prompts", "drift", "--json").out)] == [NAME]
    again = cli("prompts", "show", NAME)
    assert again.out.startswith("An older default") and again.err == "", (
        "said once, and never switched silently"
    )
    assert cli("prompts", "drift", "--adopt", NAME, "--json").object == {"name": NAME, "version": 2}
    assert "No prompt has drifted" in cli("prompts", "drift").out
    assert cli("prompts", "show", NAME, "--json").object["version"] == 1


def test_a_day_with_prompts(cli: Cli, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/MARVELLOUS/SPLENDID/" "$1"\n')
    editor.chmod(0o755)
    assert cli("prompts", "add", NAME, "-", "--author", "ada", "--json", stdin=BETTER).object["version"] == 2
    edited = cli("prompts", "edit", NAME, "--from", "2", "--note", "calmer", "--json", EDITOR=str(editor))
    assert edited.object == {"name": NAME, "version": 3, "parent": 2}
    assert cli("prompts", "show", NAME, "--version", "3").out == BETTER.replace("MARVELLOUS", "SPLENDID")
    assert "+Say SPLENDID" in cli("prompts", "diff", NAME).out
    assert cli("prompts", "diff", NAME, "2", "3", "--json").object["new"] == 3
    assert cli("prompts", "use", NAME, "3", "--reason", "reviewed", "--json").object["changed"]
    assert "was in effect already" in cli("prompts", "use", NAME, "3").out
    listed = cli("prompts", "show", NAME, "--versions").out.splitlines()
    assert listed[0].split() == ["version", "added", "origin", "from", "author", "state", "note"]
    assert "in effect" in listed[3] and listed[3].endswith("calmer")
    assert cli("prompts", "rollback", NAME, "--author", "ada", "--json").object["version"] == 1
    log = cli("prompts", "log", NAME).out.splitlines()
    assert [line.split()[5] for line in log] == ["initial", "use", "rollback"]
    assert log[1].endswith("reviewed") and " ada" in log[2]
    assert cli("prompts", "gc", "--json").object == {"versions": 0, "texts": 0}


def test_a_switch_by_another_process_is_seen_by_the_next_step_of_a_run_under_way(
    cli: Cli, model: Steps, server: OpenAIServer
) -> None:
    cli("prompts", "add", NAME, BETTER)
    switched: list[int] = []

    def while_it_writes(request: Request) -> Answer:
        switched.append(cli("prompts", "use", NAME, "2").code)
        return Answer(str(GOOD["implementation_step[slug.py]"]))

    model.given["implementation_step[slug.py]"] = while_it_writes
    done = cli("run", "coding", "A function slugify(text)", "--yes", "--json")
    assert done.code == 0 and switched == [0], done.err
    calls = cli("runs", "show", done.object["run_id"], "--calls", "--json").object["calls"]
    assert [(call["path"], call["prompt"]) for call in calls][-1] == ("summary_step/model[0]", f"{NAME}@2")
    assert server.count(step="summary_step", text="MARVELLOUS") == 1
    assert {call["provenance"] for call in calls} <= {"db", "cache"}


def test_an_experiment_splits_runs_and_stops(cli: Cli) -> None:
    cli("prompts", "add", NAME, BETTER)
    assert "1, 2" in cli("prompts", "experiment", "start", NAME, "2").out
    second = cli("prompts", "experiment", "start", NAME, "2")
    assert second.code == 2 and "already" in second.err
    status = cli("prompts", "experiment", "status", NAME, "--json").object
    assert [arm["version"] for arm in status["arms"]] == [1, 2] and status["state"] == "running"
    assert cli("prompts", "experiment", "stop", NAME).code == 0
    assert cli("prompts", "experiment", "status", NAME, "--json").object["state"] == "stopped"
