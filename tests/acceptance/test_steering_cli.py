"""``fork``, ``cancel``, ``runs show|export|gc`` as a person types them (SPEC C2, C16)."""

from __future__ import annotations

import json

from tests.acceptance.cli import KEY, Cli, Done, Steps
from windlass.testing.server import OpenAIServer

CODING = ("run", "coding", "A slug", "--workspace", "w", "--yes", "--json")


def finished(cli: Cli) -> str:
    """The id of a run that ended in Success."""
    (cli.cwd / "w").mkdir()
    done = cli(*CODING)
    assert done.code == 0, done
    return str(done.object["run_id"])


def refused(done: Done, *words: str, code: int = 1) -> None:
    assert done.code == code, done
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert all(word in done.err for word in words), done.err


def test_a_fork_pays_only_for_what_it_does_anew(cli: Cli, server: OpenAIServer) -> None:
    first = finished(cli)
    paid = server.count()
    (cli.cwd / "second").mkdir()
    done = cli("fork", first, "--from", "implementation_step", "--workspace", "second", "--yes", "--json")
    assert done.code == 0, done
    assert done.object["run_id"] != first
    assert server.count(step="design_step") == 1, (
        "what came before the step is taken over, not paid for again"
    )
    assert server.count() > paid
    assert (cli.cwd / "second" / "slug.py").read_bytes() == (cli.cwd / "w" / "slug.py").read_bytes()
    assert done.object["usage"]["requests"] == server.count() - paid
    shown = " ".join(cli("runs", "show", "last", "--calls").out.split())
    assert shown.count(f"copied from run {first}") == paid - done.object["usage"]["requests"]


def test_a_fork_that_is_only_made_is_started_by_resume(cli: Cli, server: OpenAIServer) -> None:
    first = finished(cli)
    paid = server.count()
    done = cli("fork", first, "--from", "summary_step", "--later", "--json")
    assert (done.code, server.count()) == (0, paid)
    went_on = cli("resume", "last", "--yes", "--json")
    assert (went_on.code, went_on.object["run_id"]) == (0, done.object["run_id"])
    assert server.count(step="summary_step") == 2


def test_a_fork_from_nowhere_names_the_steps(cli: Cli) -> None:
    first = finished(cli)
    done = cli("fork", first, "--from", "no_step", "--yes", "--json")
    assert done.code == 2
    assert "implementation_step" in done.err + done.out
    assert len(json.loads(cli("runs", "list", "--json").out)) == 1


def test_a_fork_that_cannot_be_done_is_not_kept(cli: Cli) -> None:
    first = finished(cli)
    refused(
        cli("fork", first, "--from", "summary_step", "--model", "nobody:x", "--quiet"), "nobody:x", code=2
    )
    refused(
        cli("fork", first, "--from", "no_step", "--workspace", "new", "--quiet"),
        "implementation_step",
        code=2,
    )
    (cli.cwd / "file").write_text("x")
    refused(
        cli("fork", first, "--from", "summary_step", "--workspace", "file", "--quiet"), "is a file", code=2
    )
    assert len(json.loads(cli("runs", "list", "--json").out)) == 1
    assert not (cli.cwd / "new").exists()


def test_a_finished_run_has_nothing_to_cancel_or_to_answer(cli: Cli) -> None:
    first = finished(cli)
    refused(cli("cancel", first), "Success", "nothing to cancel")
    refused(cli("answer", first, "approve"), "waits for no answer")
    refused(cli("cancel", "zzzzzz"), "No run is called 'zzzzzz'", code=2)


def test_an_export_has_every_word_and_no_key(cli: Cli) -> None:
    first = finished(cli)
    shown = cli("runs", "export", first)
    assert shown.code == 0
    assert KEY not in shown.out
    everything = shown.object
    text = json.dumps(everything)
    assert "slugify" in text
    assert "implementation_step" in text
    to_file = cli("runs", "export", first, "--output", "run.json")
    assert to_file.code == 0
    assert json.loads((cli.cwd / "run.json").read_text()) == everything


def test_a_run_with_its_events_and_calls(cli: Cli) -> None:
    first = finished(cli)
    shown = cli("runs", "show", first, "--events", "--calls", "--json").object
    numbers = [event["seq"] for event in shown["events"]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert {call["state"] for call in shown["calls"]} == {"done"}
    words = cli("runs", "show", first, "--events", "--calls").out
    assert "implementation_step" in words
    assert "\x1b[" not in words, "no colours into a pipe"


def test_gc_forgets_what_is_old_and_nothing_else(cli: Cli) -> None:
    first = finished(cli)
    kept = cli("runs", "gc", "--keep", "1d", "--json")
    assert kept.code == 0
    assert [run["run_id"] for run in json.loads(cli("runs", "list", "--json").out)] == [first]
    foreseen = cli("runs", "gc", "--keep", "0d", "--dry-run", "--json")
    assert foreseen.code == 0
    assert first in foreseen.out
    assert len(json.loads(cli("runs", "list", "--json").out)) == 1
    assert cli("runs", "gc", "--keep", "0d", "--json").code == 0
    assert json.loads(cli("runs", "list", "--json").out) == []
    refused(cli("runs", "show", first), "No run is called", code=2)
    assert (cli.cwd / "w" / "slug.py").exists(), "files are the person's: they stay"


def test_a_waiting_run_is_answered_from_another_terminal(cli: Cli, model: Steps) -> None:
    model.given["requirement_step"] = json.dumps(
        {"acceptance_criteria": ["Dashes."], "open_questions": ["What of umlauts?"]}
    )
    (cli.cwd / "w").mkdir()
    asked = cli("run", "coding", "A slug", "--workspace", "w", "--json")
    assert (asked.code, asked.object["status"]) == (3, "Waiting")
    later = cli("answer", "last", "answer", "Two letters.", "--later", "--json")
    assert later.code == 0, later
    done = cli("resume", "last", "--json")
    assert (done.code, done.object["status"]) == (0, "Success"), done
