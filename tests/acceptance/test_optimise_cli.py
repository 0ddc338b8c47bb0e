"""``windlass prompts optimise`` with a local server as the model and as the one that reflects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.cli import Cli, Steps
from tests.acceptance.test_prompts_cli import BETTER, NAME, half_right, task_number, values_cases
from windlass.testing.server import Answer, Fault, OpenAIServer, Request

REFLECTION = "reflection@default"


def asked(server: OpenAIServer, prompt: str) -> list[Request]:
    return [record.request for record in server.records if record.request.prompt == prompt]


def trials(server: OpenAIServer) -> list[Request]:
    return [record.request for record in server.records if record.request.prompt != REFLECTION]


def case_id(request: Request) -> str:
    return f"case-{task_number(request)}"


@pytest.fixture
def reflected() -> list[Answer | Fault]:
    """What the reflecting model answers: the last entry for ever."""
    return [Answer(f"The word helps.\n```\n{BETTER}\n```\n")]


@pytest.fixture
def model(reflected: list[Answer | Fault]) -> Steps:
    def answer(request: Request) -> Answer | Fault:
        return reflected[-1] if request.prompt == REFLECTION else half_right(request)

    return Steps({"trial_step": answer})


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[str, ...]:
    cases = values_cases(tmp_path / "cases.jsonl", 40)
    return ("prompts", "optimise", NAME, "--cases", str(cases), "--max-case-runs", "40", "--json")


def test_a_candidate_must_earn_its_promotion_on_the_cases_held_out(
    cli: Cli, tmp_path: Path, server: OpenAIServer, arguments: tuple[str, ...]
) -> None:
    done = cli(*arguments)
    assert done.code == 0, done.err
    found = done.object
    (candidate,) = found["candidates"]
    assert (found["base"], candidate["version"], candidate["parent"]) == (1, 2, 1)
    assert candidate["score"] == 1.0 > found["base_score"]
    base, version = json.loads(cli("prompts", "show", NAME, "--versions", "--json").out)
    assert base["is_current_effective"] and not version["is_current_effective"]
    assert (version["origin"], version["parent_version_no"], version["content"]) == ("optimiser", 1, BETTER)
    assert version["note"].startswith("GEPA: 1.00 against ")

    # What the model was shown when it reflected: the text, the cases that failed, and what was said of them.
    (reflection, *_) = asked(server, REFLECTION)
    assert base["content"].strip() in reflection.text
    assert "does not contain 'right'" in reflection.text and "wrong" in reflection.text

    held = [json.loads(line)["id"] for line in Path(found["held_out"]).read_text().splitlines()]
    assert len(held) == 20
    assert not {case_id(request) for request in trials(server)} & set(held)

    # The cases it was found on prove nothing: only the held-out ones count, whatever file they come in.
    rows = (tmp_path / "cases.jsonl").read_text().splitlines()
    learnt = [row for row in rows if json.loads(row)["id"] not in held]
    (tmp_path / "learnt.jsonl").write_text("".join(row.replace("case-", "renamed-") + "\n" for row in learnt))
    versions = ("prompts", "compare", NAME, "--versions", "1,2", "--cases")
    unfair = cli(*versions, "learnt.jsonl", "--promote")
    assert unfair.code == 2 and "was used to find" in unfair.err
    refused = cli("prompts", "promote", NAME, "--auto")
    assert refused.code == 2 and "no evidence" in refused.err
    compared = cli(*versions, "cases.jsonl", "--promote", "--json")
    assert compared.code == 0, compared.err
    assert compared.object["left_out"] == 20
    assert compared.object["promoted"] and compared.object["e_value"] >= 20
    assert cli("prompts", "show", NAME, "--json").object["version"] == 2
    assert json.loads(cli("prompts", "log", NAME, "--json").out)[-1]["kind"] == "promote"


def test_the_same_search_again_asks_for_no_reply_that_it_has_and_adds_nothing(
    cli: Cli, server: OpenAIServer, arguments: tuple[str, ...]
) -> None:
    first, again = cli(*arguments), cli(*arguments)
    assert first.object["candidates"] == again.object["candidates"], again.err
    texts = [record.request.text for record in server.records]
    assert len(set(texts)) == len(texts) > 20
    assert len(json.loads(cli("prompts", "show", NAME, "--versions", "--json").out)) == 2


def test_without_an_answer_to_reflect_on_it_says_so_and_goes_on_next_time(
    cli: Cli, server: OpenAIServer, reflected: list[Answer | Fault], arguments: tuple[str, ...]
) -> None:
    reflected.append(Fault("status", status=401, message="no"))
    failed = cli(*arguments)
    assert failed.code == 1 and "API key" in failed.err and "Traceback" not in failed.err
    assert len(json.loads(cli("prompts", "show", NAME, "--versions", "--json").out)) == 1
    before = {request.text for request in trials(server)}
    reflected.pop()
    server.records.clear()
    assert [each["version"] for each in cli(*arguments).object["candidates"]] == [2]
    assert before
    assert not before & {request.text for request in trials(server)}
