"""Versions of prompts from the command line: switch them, compare them, and promote only what is proven."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.cli import SLUG_TEST, Cli, Steps
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


def half_right(request: Request) -> Answer:
    """The better prompt gets every case right, any other every second one."""
    number = int(request.text.partition("task ")[2].split()[0])
    return Answer("right" if "MARVELLOUS" in request.text or number % 2 else "wrong")


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


def test_a_coding_case_is_judged_by_its_tests(cli: Cli, tmp_path: Path, model: Steps) -> None:
    wrong = "slug.py\n```python\ndef slugify(text):\n    return text\n```\n"
    right = 'slug.py\n```python\ndef slugify(text):\n    return "-".join(text.lower().split())\n```\n'
    model.given["implementation_step[slug.py]"] = lambda r: right if "MARVELLOUS" in r.text else wrong
    text = json.loads(cli("prompts", "show", "coding.implementation", "--json").out)["text"]
    assert cli("prompts", "add", "coding.implementation", "MARVELLOUS\n" + text).code == 0
    case = {"requirement": "slugify", "targets": ["slug.py"], "tests": {"test_slug.py": SLUG_TEST}}
    (tmp_path / "cases.jsonl").write_text(
        "".join(json.dumps({"id": str(n), **case}) + "\n" for n in range(2))
    )
    done = cli(
        "prompts", "compare", "coding.implementation", "--versions", "1,2", "--cases", "cases.jsonl", "--json"
    )
    assert done.code == 0, done.err
    found = done.object
    assert found["only_new"] == 2 and found["only_old"] == 0
    assert found["decision"] == "not enough" and "Not enough evidence" in found["verdict"]


BAD = (
    (("prompts", "show", "nothing.like.it"), "nothing.like.it"),
    (("prompts", "use", NAME, "7"), "no version 7"),
    (("prompts", "add", NAME, ""), "empty"),
    (("prompts", "add", NAME, "no variable at all"), "requirement"),
    (("prompts", "add", NAME, "{{requirement}} {{nonsense}}"), "nonsense"),
    (("prompts", "add", NAME, "@big.md"), "bytes"),
    (("prompts", "use", NAME, "1", "--expected-revision", "99"), "changed"),
    (("prompts", "compare", NAME, "--versions", "1;2", "--cases", "cases.jsonl"), "two numbers"),
    (("prompts", "compare", NAME, "--versions", "1,2", "--cases", "nowhere.jsonl"), "nowhere.jsonl"),
    (("prompts", "compare", NAME, "--versions", "1,2", "--cases", "bad.jsonl"), "bad.jsonl"),
    (("prompts", "compare", NAME, "--versions", "1,9", "--cases", "cases.jsonl"), "no version 9"),
    (("prompts", "promote", NAME), "--auto"),
    (("prompts", "experiment", "status", NAME), "never"),
    (("prompts", "rollback", NAME), NAME),
)


def test_bad_input_is_one_sentence_and_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    values_cases(tmp_path / "cases.jsonl", 2)
    (tmp_path / "bad.jsonl").write_text("{}\n[1]\n")
    (tmp_path / "big.md").write_text("{{requirement}}" + "x" * 1_000_001)
    before = cli("prompts", "show", NAME, "--versions", "--json").out
    for arguments, said in BAD:
        done = cli(*arguments)
        assert done.code in (1, 2) and said in done.err, (arguments, done.err)
        assert done.err.startswith("Error: ") and "Traceback" not in done.err, arguments
        assert "fault of its own" not in done.err, arguments
    assert cli("prompts", "show", NAME, "--versions", "--json").out == before


def test_files_go_out_and_come_back_and_a_changed_one_is_refused(cli: Cli, tmp_path: Path) -> None:
    cli("prompts", "add", NAME, BETTER)
    assert cli("prompts", "export", "out", NAME).code == 0
    assert "0 added, 2 there already" in cli("prompts", "import", "out").out
    file = next(iter(sorted((tmp_path / "out").glob("*.v0002.md"))))
    file.write_text(file.read_text().replace("MARVELLOUS", "OTHERWISE"))
    refused = cli("prompts", "import", "out")
    assert refused.code == 2 and file.name in refused.err


def test_an_experiment_splits_runs_and_stops(cli: Cli) -> None:
    cli("prompts", "add", NAME, BETTER)
    assert "1, 2" in cli("prompts", "experiment", "start", NAME, "2").out
    second = cli("prompts", "experiment", "start", NAME, "2")
    assert second.code == 2 and "already" in second.err
    status = cli("prompts", "experiment", "status", NAME, "--json").object
    assert [arm["version"] for arm in status["arms"]] == [1, 2] and status["state"] == "running"
    assert cli("prompts", "experiment", "stop", NAME).code == 0
    assert cli("prompts", "experiment", "status", NAME, "--json").object["state"] == "stopped"
