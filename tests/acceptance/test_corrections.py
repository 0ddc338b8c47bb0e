"""A reply that cannot be used goes back to the model, in the same step, with what it needs to do better."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.cli import SLUG, SLUG_TEST, WRONG_SLUG, Cli, Steps
from windlass.testing.server import OpenAIServer, Request

STEP = "implementation_step[slug.py]"
RUN = ("run", "coding", "A slug", "--workspace", "w", "--tests", "test_slug.py", "--yes", "--json")
#: Close to the file, and not in it.
MISSED = (
    "slug.py\n<<<<<<< SEARCH\n    return text.lowered()\n=======\n"
    '    return "-".join(text.lower().split())\n>>>>>>> REPLACE\n'
)


def project(cli: Cli) -> Path:
    folder = cli.cwd / "w"
    folder.mkdir()
    (folder / "slug.py").write_text(WRONG_SLUG)
    (folder / "test_slug.py").write_text(SLUG_TEST)
    return folder


def asked(server: OpenAIServer) -> list[Request]:
    return [record.request for record in server.records if record.request.step == STEP]


def messages(request: Request) -> list[dict[str, str]]:
    found = request.body["messages"]
    assert isinstance(found, list)
    return found


def test_the_correction_is_the_next_request_of_the_step(cli: Cli, model: Steps, server: OpenAIServer) -> None:
    folder = project(cli)
    model.given[STEP] = [MISSED, f"slug.py\n```python\n{SLUG}```\n"]
    done = cli(*RUN)
    assert done.code == 0, done
    assert (folder / "slug.py").read_text() == SLUG
    first, second = (messages(request) for request in asked(server))
    # The conversation goes on: the same beginning, the refused reply word for word, what was wrong with it.
    assert second[: len(first)] == first
    assert [m["role"] for m in second[len(first) :]] == ["assistant", "user"]
    assert second[-2]["content"].strip() == MISSED.strip()
    correction = second[-1]["content"]
    assert "slug.py" in correction
    assert "return text.lower()" in correction
    assert "line" in correction
    assert "2" in correction
    calls = {step["path"]: step["requests"] for step in done.object["steps"]}
    assert calls[STEP] == 2
    assert done.object["usage"]["requests"] == server.count()


def test_after_two_corrections_the_step_fails_and_nothing_is_written(
    cli: Cli, model: Steps, server: OpenAIServer
) -> None:
    folder = project(cli)
    model.given[STEP] = ["Which slug?", MISSED, "I am sorry, I cannot help with that."]
    done = cli(*RUN)
    assert done.code == 1
    assert done.object["status"] == "Failure"
    assert "no usable content for slug.py after 3 tries" in done.object["error"]
    assert len(asked(server)) == 3
    assert {s["path"]: s["status"] for s in done.object["steps"]}[STEP] == "error"
    assert (folder / "slug.py").read_text() == WRONG_SLUG
    assert sorted(p.name for p in folder.iterdir()) == ["slug.py", "test_slug.py"]
    assert cli("diff", "last").out == "No change.\n"
