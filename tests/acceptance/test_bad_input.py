"""Bad input through the real command: one clear sentence, the right exit code, nothing half written, no traceback."""

from __future__ import annotations

import socket
import sqlite3

import pytest

from tests.acceptance.cli import Cli, Done, Steps
from windlass.testing.server import Answer, Fault, OpenAIServer


def one_sentence(done: Done, code: int, *words: str) -> None:
    """Exit code ``code``, nothing on standard output, and one line of error that holds ``words``."""
    assert done.code == code, done
    assert done.out == ""
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("Error: ")
    assert lines[0].rstrip().endswith((".", "windlass runs list", ")"))
    for word in words:
        assert word in lines[0]


def nothing_left(cli: Cli, *expected: str) -> None:
    """No folder and no file appeared where the command ran."""
    assert sorted(p.relative_to(cli.cwd).as_posix() for p in cli.cwd.rglob("*")) == sorted(expected)


def run(cli: Cli, *arguments: str, **env: str) -> Done:
    return cli("run", "coding", *arguments, "--yes", "--quiet", **env)


@pytest.mark.parametrize("requirement", ["", "   \n\t "])
def test_empty_requirement(cli: Cli, requirement: str) -> None:
    one_sentence(run(cli, requirement), 2, "requirement is empty")
    nothing_left(cli)


def test_empty_requirement_from_standard_input_and_file(cli: Cli) -> None:
    one_sentence(cli("run", "coding", "-", "--quiet", stdin=" \n"), 2, "requirement is empty")
    (cli.cwd / "task.md").write_text("")
    one_sentence(run(cli, "@task.md"), 2, "requirement is empty")
    nothing_left(cli, "task.md")


def test_missing_requirement_file(cli: Cli) -> None:
    one_sentence(run(cli, "@nowhere.md"), 2, "There is no file nowhere.md")
    nothing_left(cli)


def test_missing_workspace(cli: Cli) -> None:
    one_sentence(run(cli, "A slug", "--workspace", "nowhere"), 2, "nowhere does not exist")
    nothing_left(cli)


def test_workspace_that_is_a_file(cli: Cli) -> None:
    (cli.cwd / "file").write_text("mine")
    one_sentence(run(cli, "A slug", "--workspace", "file"), 2, "file is a file", "name a folder")
    nothing_left(cli, "file")
    assert (cli.cwd / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("image.png", b"\x89PNG\0\0", "binary"), ("latin.py", b"# caf\xe9\n", "not UTF-8")],
)
def test_file_that_is_no_text(cli: Cli, name: str, content: bytes, words: str) -> None:
    (cli.cwd / name).write_bytes(content)
    one_sentence(run(cli, "A slug", "--workspace", ".", "--file", name), 2, name, words)
    nothing_left(cli, name)


def test_unreadable_file(cli: Cli) -> None:
    (cli.cwd / "secret.py").write_text("x = 1\n")
    (cli.cwd / "secret.py").chmod(0)
    done = cli(
        "run", "coding", "A slug", "--workspace", ".", "--file", "secret.py", "--yes", "--quiet", humble=True
    )
    one_sentence(done, 2, "secret.py cannot be read", "Permission denied")
    done = cli("run", "coding", "@secret.py", "--yes", "--quiet", humble=True)
    one_sentence(done, 2, "secret.py cannot be read", "Permission denied")
    nothing_left(cli, "secret.py")


@pytest.mark.parametrize("where", [(), ("--workspace", ".")])
def test_read_only_folder(cli: Cli, where: tuple[str, ...]) -> None:
    cli.cwd.chmod(0o555)
    done = cli("run", "coding", "A slug", *where, "--yes", "--quiet", humble=True)
    cli.cwd.chmod(0o755)
    assert done.code == 1
    assert done.out == ""
    assert "Permission denied" in done.err or "may not be written" in done.err
    assert len(done.err.splitlines()) == 1
    nothing_left(cli)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("gpt-nonsense-9", "gpt-nonsense-9"),
        ("nobody:gpt", "nobody"),
        ("scripted:missing", "no scripted session"),
    ],
)
def test_unknown_model(cli: Cli, model: str, words: str) -> None:
    one_sentence(run(cli, "A slug", "--model", model), 2, words)
    nothing_left(cli)


def test_no_model_and_no_key(cli: Cli) -> None:
    cli.base_url = None
    done = run(cli, "A slug")
    one_sentence(done, 2, "--model", "WINDLASS_MODEL", "windlass demo")
    nothing_left(cli)


def test_model_without_its_key(cli: Cli) -> None:
    cli.base_url = None
    done = run(cli, "A slug", "--model", "openai:gpt-5-mini")
    assert done.code in (1, 2)
    assert "OPENAI_API_KEY" in done.err + done.out
    assert "Traceback" not in done.err
    nothing_left(cli)


def test_wrong_key(cli: Cli, model: Steps, server: OpenAIServer) -> None:
    model.given["requirement_step"] = Fault(
        "status", status=401, message="Incorrect API key provided: sk-test-abc"
    )
    done = cli("run", "coding", "A slug", "--yes", "--json")
    assert done.code == 1
    assert done.object["status"] == "Failure"
    assert "does not accept the API key (401)" in done.object["error"]
    assert "sk-test" not in done.out + done.err
    assert done.object["files"] == []
    assert server.count() == 1
    nothing_left(cli)


def test_no_network(cli: Cli) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    cli.base_url = f"http://127.0.0.1:{port}/v1"
    done = cli("run", "coding", "A slug", "--yes", "--json", WINDLASS_MAX_ATTEMPTS="2")
    assert done.code == 1
    assert done.object["status"] == "Failure"
    assert "cannot be reached" in done.object["error"]
    assert done.object["usage"]["cost_usd"] == 0
    assert "Traceback" not in done.err
    nothing_left(cli)


@pytest.mark.parametrize("budget", ["0", "-1", "nan", "inf", "much"])
def test_budget_that_allows_nothing(cli: Cli, server: OpenAIServer, budget: str) -> None:
    done = run(cli, "A slug", f"--budget={budget}")
    assert done.code == 2
    assert budget in done.err
    assert "Traceback" not in done.err
    assert server.count() == 0
    nothing_left(cli)


def test_budget_with_a_price_nobody_knows(cli: Cli, server: OpenAIServer) -> None:
    done = run(cli, "A slug", "--budget", "1")
    one_sentence(done, 1, "price of", "--allow-unknown-price")
    assert server.count() == 0
    nothing_left(cli)


def test_database_that_stays_locked(cli: Cli, server: OpenAIServer) -> None:
    assert cli("db", "upgrade").code == 0
    with sqlite3.connect(cli.home / "windlass.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        done = run(cli, "A slug", WINDLASS_LOCK_TIMEOUT="0.3")
    one_sentence(done, 1, "locked for too long", "windlass.db")
    assert server.count() == 0
    nothing_left(cli)


def test_database_from_a_newer_version(cli: Cli, server: OpenAIServer) -> None:
    assert cli("db", "upgrade").code == 0
    with sqlite3.connect(cli.home / "windlass.db") as other:
        other.execute("UPDATE alembic_version SET version_num = 'm999'")
    other.close()
    done = run(cli, "A slug")
    one_sentence(done, 1, "newer")
    assert server.count() == 0
    nothing_left(cli)


def test_database_that_is_none(cli: Cli) -> None:
    (cli.home / "windlass.db").write_text("Dear diary, this is no database at all." * 100)
    one_sentence(run(cli, "A slug"), 1, "no SQLite database")
    nothing_left(cli)


def test_nonsense_in_settings(cli: Cli) -> None:
    one_sentence(run(cli, "A slug", WINDLASS_LOCK_TIMEOUT="soon"), 2, "lock_timeout", "WINDLASS_LOCK_TIMEOUT")
    (cli.home / "windlass.toml").write_text("model = [unclosed\n")
    one_sentence(run(cli, "A slug"), 2, "windlass.toml", "not valid TOML")
    nothing_left(cli)


@pytest.mark.parametrize(
    "arguments",
    [("run", "codng", "x"), ("run", "coding"), ("run", "coding", "x", "--max-repairs", "-1"), ("nonsense",)],
)
def test_wrong_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert "Usage:" in done.err
    nothing_left(cli)


@pytest.mark.parametrize(
    "arguments", [("resume", "nothing"), ("runs", "show", "nothing"), ("resume", "last")]
)
def test_no_such_run(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert "Error: " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["../outside.py", "CON.py", ".git/config"])
def test_target_outside_the_workspace(cli: Cli, server: OpenAIServer, name: str) -> None:
    (cli.cwd / "w").mkdir()
    done = run(cli, "A slug", "--workspace", "w", "--file", name)
    assert done.code == 2
    assert "Error: " in done.err
    assert server.count() == 0
    nothing_left(cli, "w")


def test_json_says_errors_too(cli: Cli) -> None:
    done = cli("run", "coding", "A slug", "--workspace", "nowhere", "--yes", "--json")
    assert done.code == 2
    assert "does not exist" in done.err


def test_a_failed_run_keeps_the_new_folder_only_if_it_wrote(cli: Cli, model: Steps) -> None:
    model.given["design_step"] = Answer("I would rather not.")
    done = cli("run", "coding", "A slug", "--yes", "--json")
    assert done.code == 1
    assert "no usable plan" in done.object["error"]
    nothing_left(cli)
