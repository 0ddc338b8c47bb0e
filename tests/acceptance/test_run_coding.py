"""``windlass run coding`` and ``resume`` as a person or a script uses them, against a local model."""

from __future__ import annotations

import hashlib
import re
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.cli import KEY, SLUG, SLUG_TEST, WRONG_SLUG, Cli, Steps
from windlass.testing.server import Answer, OpenAIServer

#: What issue and documentation promise of ``--json``; more keys may come.
KEYS = {"run_id", "workflow", "status", "summary", "workspace", "files", "tests", "usage", "steps", "error"}
USAGE = {"requests", "input_tokens", "output_tokens", "cost_usd"}
STEP = {"path", "name", "status", "seconds", "requests", "cost_usd"}
ASKING = '{"acceptance_criteria": ["A dash between words."], "open_questions": ["What about umlauts?"]}'


def check_shape(told: dict[str, object]) -> None:
    assert told.keys() >= KEYS
    usage, steps, files, tests = told["usage"], told["steps"], told["files"], told["tests"]
    assert isinstance(usage, dict)
    assert usage.keys() >= USAGE
    assert isinstance(steps, list)
    assert steps
    assert all(step.keys() >= STEP for step in steps)
    assert isinstance(files, list)
    assert all(file.keys() >= {"path", "change", "bytes"} for file in files)
    assert tests is None or (
        isinstance(tests, dict) and tests.keys() >= {"passed", "failed", "errors", "sandbox"}
    )


def test_success(cli: Cli, server: OpenAIServer) -> None:
    done = cli("run", "coding", "A function slugify(text)", "--yes", "--json")
    told = done.object
    assert done.code == 0
    assert done.out.count("\n") == 1
    check_shape(told)
    assert (told["status"], told["workflow"], told["error"]) == ("Success", "coding", None)
    workspace = Path(told["workspace"])
    assert workspace == cli.cwd / "a-function-slugify-text"
    assert (workspace / "slug.py").read_text() == SLUG
    assert told["files"] == [
        {"path": "slug.py", "change": "created", "bytes": len(SLUG)},
        {"path": "test_slug.py", "change": "created", "bytes": len(SLUG_TEST)},
    ]
    assert (told["tests"]["passed"], told["tests"]["failed"], told["tests"]["errors"]) == (1, 0, 0)
    assert told["tests"]["sandbox"] in ("bubblewrap", "landlock")
    assert told["summary"].startswith("Ran test_slug.py: 1 passed in ")
    # Nobody knows what test-model costs: null, not 0.
    assert told["usage"]["cost_usd"] is None
    assert told["usage"]["requests"] == server.count() == 5
    assert told["usage"]["output_tokens"] > 0
    paths = [step["path"] for step in told["steps"]]
    assert paths[1] == "requirement_step.refine"
    assert [path for path in paths if path.isidentifier()] == [
        "requirement_step", "design_step", "test_generation_step", "implementation_step", "testing_step",
        "summary_step",
    ]  # fmt: skip
    assert {step["status"] for step in told["steps"]} == {"finished"}
    seen = {record.request.step: record.request.prompt for record in server.records}
    assert seen["design_step"] == "coding.design@1"
    assert {record.request.run_id for record in server.records} == {told["run_id"]}
    assert KEY not in done.out + done.err


def test_failure(cli: Cli, model: Steps) -> None:
    model.given["implementation_step[slug.py]"] = f"slug.py\n```python\n{WRONG_SLUG}```\n"
    model.given["testing_step.repair[1]"] = f"slug.py\n```python\n# still wrong\n{WRONG_SLUG}```\n"
    done = cli("run", "coding", "A function slugify(text)", "--yes", "--json")
    told = done.object
    assert done.code == 1
    check_shape(told)
    assert told["status"] == "Failure"
    assert "same failure came twice" in told["error"]
    assert (told["tests"]["passed"], told["tests"]["failed"]) == (0, 1)
    assert "1 failed" in told["summary"]
    assert {s["path"]: s["status"] for s in told["steps"]}["testing_step"] == "error"


def test_waiting_and_resume(cli: Cli, model: Steps, server: OpenAIServer) -> None:
    model.given["requirement_step"] = ASKING
    done = cli("run", "coding", "A function slugify(text)", "--json")
    told = done.object
    assert done.code == 3
    check_shape(told)
    assert (told["status"], told["tests"], told["files"]) == ("Waiting", None, [])
    assert told["waiting_for"]["detail"]["open_questions"] == ["What about umlauts?"]
    assert server.count() == 1
    people = cli("runs", "show", "last")
    assert "Waiting" in people.out
    again = cli("resume", told["run_id"], "--json")
    assert again.code == 3
    done = cli("resume", told["run_id"], "--yes", "--json")
    assert done.code == 0, done
    assert done.object["status"] == "Success"
    assert done.object["run_id"] == told["run_id"]
    # The first reply came from the journal: every step was asked once.
    assert server.count(step="requirement_step") == 1
    assert server.count() == 5
    assert (Path(done.object["workspace"]) / "slug.py").read_text() == SLUG
    over = cli("resume", told["run_id"])
    assert over.code == 1
    assert "has ended in Success" in over.err


def test_budget_ends_a_run_before_the_call_and_more_lets_it_go_on(cli: Cli, server: OpenAIServer) -> None:
    (cli.home / "windlass.toml").write_text(
        '[models.dear]\nmodel = "openai-chat:test-model"\nprice = {input = 1.0, output = 10.0}\n'
        f'base_url = "{cli.base_url}"\napi_key_env = "OPENAI_API_KEY"\nmax_output_tokens = 1000\n'
    )
    done = cli(
        "run",
        "coding",
        "A function slugify(text)",
        "--yes",
        "--json",
        "--model",
        "dear",
        "--budget",
        "0.0105",
    )
    told = done.object
    assert done.code == 1
    assert "of the budget of $0.0105 is left; the call was not made" in told["error"]
    assert told["usage"]["requests"] == server.count()
    assert 0 <= told["usage"]["cost_usd"] <= 0.0105
    whole = cli(
        "run", "coding", "A function slugify(text)", "--yes", "--json", "--model", "dear", "--budget", "1"
    )
    assert whole.code == 0
    assert 0 < whole.object["usage"]["cost_usd"] < 0.1


def test_given_tests_in_an_existing_project(cli: Cli, model: Steps, server: OpenAIServer) -> None:
    project = cli.cwd / "project"
    (project / "src").mkdir(parents=True)
    (project / "tests").mkdir()
    (project / "src" / "slug.py").write_bytes(WRONG_SLUG.replace("\n", "\r\n").encode())
    test = "import sys\nsys.path.insert(0, 'src')\n" + SLUG_TEST
    (project / "tests" / "test_slug.py").write_text(test)
    (project / "README.md").write_text("# mine\n")
    before = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in project.rglob("*.*")}
    model.given["design_step"] = '{"files": [{"path": "src/slug.py", "purpose": "slugify"}], "tests": []}'
    model.given["implementation_step[src/slug.py]"] = (
        "```python\nsrc/slug.py\n<<<<<<< SEARCH\n    return text.lower()\n=======\n"
        '    return "-".join(text.lower().split())\n>>>>>>> REPLACE\n```\n'
    )
    done = cli(
        "run", "coding", "Words are joined by dashes", "--workspace", "project", "--file", "src/*.py",
        "--tests", "tests", "--yes", "--json",
    )  # fmt: skip
    told = done.object
    assert done.code == 0, done
    assert told["files"] == [{"path": "src/slug.py", "change": "modified", "bytes": len(SLUG) + 2}]
    # Line ends stay what they were.
    assert (project / "src" / "slug.py").read_bytes() == SLUG.replace("\n", "\r\n").encode()
    after = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in project.rglob("*.*")}
    assert {p for p in after if after[p] != before.get(p)} == {project / "src" / "slug.py"}
    assert {s["path"]: s["status"] for s in told["steps"]}["test_generation_step"] == "skipped"
    asked = next(
        r.request.text for r in server.records if r.request.step == "implementation_step[src/slug.py]"
    )
    # C9: who changes a file sees it, and the tests.
    assert "return text.lower()" in asked
    assert SLUG_TEST.strip() in asked


@pytest.mark.parametrize("reply", ["test_slug.py\n```python\ndef test_slugify():\n    pass\n```\n"])
def test_a_repair_cannot_change_the_tests(cli: Cli, model: Steps, reply: str) -> None:
    (cli.cwd / "w").mkdir()
    (cli.cwd / "w" / "test_slug.py").write_text(SLUG_TEST)
    model.given["implementation_step[slug.py]"] = f"slug.py\n```python\n{WRONG_SLUG}```\n"
    model.given["testing_step.repair[1]"] = reply
    done = cli("run", "coding", "A slug", "--workspace", "w", "--tests", "test_slug.py", "--yes", "--json")
    assert done.code == 1
    assert done.object["status"] == "Failure"
    assert (cli.cwd / "w" / "test_slug.py").read_text() == SLUG_TEST
    assert (cli.cwd / "w" / "slug.py").read_text() == WRONG_SLUG


#: Makes every test pass, whatever the program does.
CHEAT = "import pytest\n\n\n@pytest.hookimpl\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n"


def test_a_model_cannot_steer_how_given_tests_run(cli: Cli, model: Steps, server: OpenAIServer) -> None:
    (cli.cwd / "w").mkdir()
    (cli.cwd / "w" / "test_slug.py").write_text(SLUG_TEST)
    model.given["design_step"] = [
        '{"files": [{"path": "slug.py"}, {"path": "conftest.py", "purpose": "fixtures"}], "tests": []}',
        '{"files": [{"path": "slug.py"}, {"path": "pyproject.toml"}], "tests": []}',
    ]
    model.given["implementation_step[slug.py]"] = f"slug.py\n```python\n{WRONG_SLUG}```\n"
    model.given["implementation_step[pyproject.toml]"] = [
        '```toml\n[tool.pytest.ini_options]\npython_functions = "nothing"\n```\n',
        '```toml\n[project]\nname = "slug"\n```\n',
    ]
    done = cli(
        "run",
        "coding",
        "A slug",
        "--workspace",
        "w",
        "--tests",
        "test_slug.py",
        "--max-repairs",
        "0",
        "--yes",
        "--json",
    )
    assert done.code == 1
    assert (done.object["tests"]["passed"], done.object["tests"]["failed"]) == (0, 1)
    assert sorted(file.name for file in (cli.cwd / "w").iterdir()) == [
        "pyproject.toml",
        "slug.py",
        "test_slug.py",
    ]
    assert "pytest" not in (cli.cwd / "w" / "pyproject.toml").read_text()
    corrections = [
        r.request.text for r in server.records if "decides how the given tests run" in r.request.text
    ]
    assert len(corrections) == 2
    assert "conftest.py may not be written" in corrections[0]
    assert "The part of pyproject.toml for pytest (tool.pytest) may not be changed" in corrections[1]


def test_a_conftest_that_the_person_names_may_be_written(cli: Cli, model: Steps) -> None:
    (cli.cwd / "w").mkdir()
    (cli.cwd / "w" / "test_slug.py").write_text(SLUG_TEST)
    (cli.cwd / "w" / "conftest.py").write_text("")
    model.given["design_step"] = '{"files": [{"path": "conftest.py"}], "tests": []}'
    model.given["implementation_step[conftest.py]"] = f"```python\n{CHEAT}```\n"
    done = cli(
        "run", "coding", "A slug", "--workspace", "w", "--tests", "test_slug.py", "--file", "conftest.py", "--yes",
        "--json",
    )  # fmt: skip
    assert [file["path"] for file in done.object["files"]] == ["conftest.py"]
    assert (cli.cwd / "w" / "conftest.py").read_text() == CHEAT


def test_files_from_outside_are_brought_in(cli: Cli, server: OpenAIServer) -> None:
    (cli.cwd / "w").mkdir()
    elsewhere = cli.cwd / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "test_slug.py").write_text(SLUG_TEST)
    done = cli(
        "run", "coding", "@-", "--workspace", "w", "--tests", str(elsewhere / "test_*.py"), "--yes", "--json"
    )
    assert done.code == 2
    done = cli(
        "run", "coding", "-", "--workspace", "w", "--tests", "elsewhere/test_slug.py", "--yes", "--json",
        stdin="A function slugify(text) with ümlauts",
    )  # fmt: skip
    assert done.code == 0, done
    assert (cli.cwd / "w" / "test_slug.py").read_text() == SLUG_TEST
    assert (elsewhere / "test_slug.py").read_text() == SLUG_TEST
    assert "ümlauts" in server.records[0].request.text
    assert server.count(step="test_generation_step[test_slug.py]") == 0


def test_a_pattern_that_fits_nothing(cli: Cli, server: OpenAIServer) -> None:
    done = cli("run", "coding", "A slug", "--workspace", ".", "--file", "src/*.py", "--yes")
    assert done.code == 2
    assert "No file matches 'src/*.py'" in done.err
    assert server.count() == 0


def test_two_dependent_files_are_written_in_waves(cli: Cli, model: Steps, server: OpenAIServer) -> None:
    model.given |= {
        "design_step": '{"files": [{"path": "slug.py", "purpose": "slugify", "depends_on": ["words.py"]},'
        '{"path": "words.py", "purpose": "words(text)"}, {"path": "extra.py", "purpose": "none"}],'
        ' "tests": [{"path": "test_slug.py"}]}',
        "implementation_step[words.py]": "```python\ndef words(text):\n    return text.lower().split()\n```",
        "implementation_step[extra.py]": "```python\nEXTRA = 1\n```",
        "implementation_step[slug.py]": "```python\nfrom words import words\n\n\ndef slugify(text):\n"
        '    return "-".join(words(text))\n```',
    }
    done = cli("run", "coding", "A slug", "--yes", "--json")
    assert done.code == 0, done
    order = [r.request.step for r in server.records if r.request.step.startswith("implementation_step")]
    assert order[-1] == "implementation_step[slug.py]"
    last = next(r.request.text for r in server.records if r.request.step == order[-1])
    assert "return text.lower().split()" in last
    assert "EXTRA = 1" not in last


def test_piped_output_reads_like_a_log(cli: Cli) -> None:
    done = cli("run", "coding", "A function slugify(text)", "--yes")
    assert done.code == 0
    assert "\x1b" not in done.out + done.err
    lines = done.out.splitlines()
    assert lines[0] == "windlass: A function slugify(text)"
    assert any("Implementation [implementation_step] finished" in line for line in lines)
    assert any("created slug.py" in line for line in lines)
    assert any(line.startswith("  tests: 1 passed") for line in lines)
    assert "Success" in lines
    assert re.search(r"windlass runs show \w{20}", done.out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_keeps_the_reply_under_way(
    cli: Cli, model: Steps, server: OpenAIServer, number: signal.Signals
) -> None:
    model.given["implementation_step[slug.py]"] = Answer(f"slug.py\n```python\n{SLUG}```\n", delay=2.0)
    process = cli.start("run", "coding", "A slug", "--yes", "--json")
    _until(lambda: server.count(step="implementation_step[slug.py]") == 1)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "Stopping" in err
    assert server.count(step="implementation_step[slug.py]", outcome="answered") == 1
    done = cli("resume", "last", "--json")
    assert done.code == 0, done
    assert server.count(step="implementation_step[slug.py]") == 1
    assert server.count() == 5


def test_two_signals_stop_at_once_and_the_run_goes_on(cli: Cli, model: Steps, server: OpenAIServer) -> None:
    model.given["implementation_step[slug.py]"] = [
        Answer("never seen", delay=60.0),
        f"slug.py\n```python\n{SLUG}```\n",
    ]
    process = cli.start("run", "coding", "A slug", "--yes", "--json")
    _until(lambda: server.count(step="implementation_step[slug.py]") == 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    shown = cli("runs", "show", "last", "--calls", "--json").object
    cut = [call for call in shown["calls"] if call["state"] == "unknown"]
    assert len(cut) == 1
    assert shown["usage"]["cost_usd"] is None
    done = cli("resume", "last", "--json")
    assert done.code == 0, done
    assert server.count(step="implementation_step[slug.py]") == 2
    assert server.count(step="design_step") == 1
    assert done.object["usage"]["requests"] == server.count()


def _until(condition: object, timeout: float = 90.0) -> None:
    assert callable(condition)
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


# -- at a terminal ------------------------------------------------------------------------------


def test_a_person_approves_at_the_terminal(cli: Cli) -> None:
    screen = cli.terminal("run", "coding", "A function slugify(text)")
    screen.wait_for("Is this what you want?")
    assert "Words are joined by one dash." in screen.shown
    screen.type("a\n")
    assert screen.end() == 0
    assert "✓ Requirement" in screen.shown
    assert "1 passed" in screen.shown
    assert "Success" in screen.shown
    assert "\x1b[" in screen.raw


def test_a_person_answers_the_open_questions(cli: Cli, model: Steps, server: OpenAIServer) -> None:
    model.given["requirement_step"] = ASKING
    screen = cli.terminal("run", "coding", "A function slugify(text)")
    screen.wait_for("answer the questions")
    screen.type("q\n")
    screen.wait_for("What about umlauts?:")
    screen.type("Keep them.\n")
    assert screen.end() == 0
    asked = next(r.request.text for r in server.records if r.request.step == "requirement_step.refine")
    assert "What about umlauts?" in asked
    assert "Keep them." in asked
    design = next(r.request.text for r in server.records if r.request.step == "design_step")
    assert "Keep them." in design


def test_a_person_rewrites_the_requirement(cli: Cli, server: OpenAIServer) -> None:
    editor = cli.home / "editor"
    editor.write_text("#!/bin/sh\necho 'A function slugify(text) for POLISH titles' > \"$1\"\n")
    editor.chmod(0o755)
    screen = cli.terminal("run", "coding", "A function slugify(text)", EDITOR=str(editor))
    screen.wait_for("[e] edit")
    screen.type("e\n")
    assert screen.end() == 0
    for step in ("requirement_step.refine", "design_step", "implementation_step[slug.py]"):
        assert "POLISH" in next(r.request.text for r in server.records if r.request.step == step)


def test_a_person_rejects(cli: Cli, server: OpenAIServer) -> None:
    screen = cli.terminal("run", "coding", "A function slugify(text)")
    screen.wait_for("Is this what you want?")
    screen.type("r\n")
    assert screen.end() == 1
    assert "rejected; nothing was written" in screen.shown
    assert server.count() == 1
    assert list(cli.cwd.iterdir()) == []


def test_leaving_the_question_lets_the_run_wait(cli: Cli) -> None:
    screen = cli.terminal("run", "coding", "A function slugify(text)")
    screen.wait_for("[a] approve")
    screen.type("\x03")
    code = screen.end()
    assert code in (3, 130)
    assert "Traceback" not in screen.shown
    done = cli("resume", "last", "--yes", "--json")
    assert done.code == 0, done


def test_no_color(cli: Cli) -> None:
    screen = cli.terminal("run", "coding", "A function slugify(text)", "--yes", NO_COLOR="1")
    assert screen.end() == 0
    assert "✓ Testing" in screen.shown
    colours = re.findall(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38|48)(?:;\d+)*m", screen.raw)
    assert colours == []
