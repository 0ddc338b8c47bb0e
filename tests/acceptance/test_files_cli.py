"""``windlass diff``, ``undo``, ``redo`` and ``--approve writes`` as a person uses them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.cli import PATIENCE, SLUG, SLUG_TEST, WRONG_SLUG, Cli, Done, Steps
from tests.workspace.places import moto_server
from windlass.testing.forks import Forks
from windlass.testing.server import Answer, Fault, OpenAIServer

ROOT = Path(__file__).resolve().parents[2]
WORDS = "def words(text):\n    return text.lower().split()\n"
BY_WORDS = 'from words import words\n\n\ndef slugify(text):\n    return "-".join(words(text))\n'
TWO_FILES = (
    '{"files": [{"path": "slug.py", "purpose": "slugify(text)"}, {"path": "words.py", "purpose": "words(text)"}],'
    ' "tests": [{"path": "test_slug.py"}]}'
)


def block(path: str, text: str) -> str:
    return f"{path}\n```python\n{text}```\n"


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and ".git" not in p.relative_to(folder).parts
    }


def killed_writing(cli: Cli, at: int, *arguments: str) -> None:
    """A command that is killed as it puts file number ``at`` in place."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_writing", str(at), *arguments],
        cwd=cli.cwd, env=cli.env() | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=false", *arguments],
        cwd=folder, capture_output=True, text=True, check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"},
    )  # fmt: skip
    return done.stdout


@pytest.fixture
def project(cli: Cli) -> Path:
    """A project with a test and an implementation that is wrong, in the habits of another system."""
    folder = cli.cwd / "w"
    folder.mkdir()
    (folder / "slug.py").write_bytes(b"\xef\xbb\xbf" + WRONG_SLUG.replace("\n", "\r\n").encode()[:-2])
    (folder / "slug.py").chmod(0o755)
    (folder / "test_slug.py").write_text(SLUG_TEST)
    return folder


@dataclass
class Quick(Cli):
    """The same commands, forked from a process that has imported everything."""

    forks: Forks | None = None

    def __call__(self, *arguments: str, stdin: str | None = None, humble: bool = False, **env: str) -> Done:
        assert self.forks is not None
        ended = self.forks.run(arguments, env=self.env() | env, cwd=self.cwd, folder=self.home)
        return Done(ended.code, ended.out, ended.err)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """One for each test process."""
    with Forks() as running:
        yield running


@pytest.fixture
def cli(windlass_home: Path, tmp_path: Path, server: OpenAIServer, forks: Forks) -> Cli:
    """``windlass``, with the local server as its model."""
    return Quick(windlass_home, tmp_path, server.base_url, forks=forks)


CODING = ("run", "coding", "A slug", "--workspace", "w", "--tests", "test_slug.py", "--yes")


def run_coding(cli: Cli, *more: str) -> Done:
    return cli(*CODING, "--json", *more)


def test_diff_undo_redo_in_a_git_repository(cli: Cli, project: Path, model: Steps) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "mine")
    (project / "staged.txt").write_text("staged\n")
    git(project, "add", "staged.txt")
    model.given["design_step"] = TWO_FILES
    model.given["implementation_step[words.py]"] = block("words.py", WORDS)
    before, head, index = files(project), git(project, "rev-parse", "HEAD"), git(project, "ls-files", "-s")
    done = run_coding(cli)
    assert done.code == 0, done
    after = files(project)
    # What an editor leaves behind, and no more.
    assert git(project, "status", "--porcelain") == " M slug.py\nA  staged.txt\n?? words.py\n"
    assert (git(project, "rev-parse", "HEAD"), git(project, "ls-files", "-s")) == (head, index)
    assert after["slug.py"] == b"\xef\xbb\xbf" + SLUG.replace("\n", "\r\n").encode()[:-2]

    told = json.loads(cli("diff", "last", "--json").out)
    assert [(f["path"], f["change"], f["added"], f["removed"]) for f in told] == [
        ("slug.py", "modified", 1, 1), ("words.py", "created", 2, 0)
    ]  # fmt: skip
    one = cli("diff", "last", "words.py").out
    assert one.startswith("--- /dev/null\n+++ b/words.py\n@@ -0,0 +1,2 @@\n+def words")
    assert "slug.py" not in one
    unknown = cli("diff", "last", "nope.py")
    assert unknown.code != 0
    assert "did not change 'nope.py'; it changed slug.py, words.py" in unknown.err
    stat = cli("diff", "last", "--stat").out
    assert stat == " slug.py  |    2 +-\n words.py |    2 ++\n 2 files, 3 lines added, 1 removed\n"
    assert (
        cli("diff", "last", "./w/words.py").out == cli("diff", "last", str(project / "words.py")).out == one
    )
    assert (
        cli("diff", "last", "./slug.py", "--stat").out
        == " slug.py |    2 +-\n 1 file, 1 line added, 1 removed\n"
    )

    undone = cli("undo", "last", "words.py", "--json")
    assert json.loads(undone.out) == [{"path": "words.py", "change": "deleted"}]
    assert files(project) == {name: data for name, data in after.items() if name != "words.py"}
    assert cli("undo", "last").code == 0
    assert files(project) == before
    assert (project / "slug.py").stat().st_mode & 0o777 == 0o755
    assert git(project, "status", "--porcelain") == "A  staged.txt\n"
    undone = cli("diff", "last").out
    assert undone.startswith("No change. What it did was undone; windlass redo ")
    again = cli("undo", "last")
    assert again.code == 1
    assert "has no change to undo: it was undone; windlass redo" in again.err
    assert cli("redo", "last").code == 0
    assert cli("redo", "last").code == 0
    assert files(project) == after
    assert "no undo to take back" in cli("redo", "last").err
    assert (git(project, "rev-parse", "HEAD"), git(project, "ls-files", "-s")) == (head, index)


def test_a_change_made_since_is_kept(cli: Cli, project: Path) -> None:
    before = files(project)
    assert run_coding(cli).code == 0
    (project / "slug.py").write_text("mine\n")
    refused = cli("undo", "last")
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert "slug.py: changed after the run; nothing was written" in refused.err
    assert "--force" in refused.err
    assert (project / "slug.py").read_text() == "mine\n"
    assert cli("undo", "last", "--force").code == 0
    assert files(project) == before


def test_a_diff_on_a_terminal(cli: Cli, project: Path, model: Steps) -> None:
    (project / "words.py").write_text("X = 1\n")
    model.given["design_step"] = TWO_FILES
    model.given["implementation_step[words.py]"] = block("words.py", WORDS + "# more\n" * 50)
    assert run_coding(cli).code == 0
    colour = cli.terminal("diff", "last", "slug.py")
    assert colour.end() == 0
    assert re.search(r"\x1b\[32m\+ +return", colour.raw)
    assert re.search(r"\x1b\[31m- +return", colour.raw)
    plain = cli.terminal("diff", "last", "slug.py", NO_COLOR="1")
    assert plain.end() == 0
    assert "\x1b[3" not in plain.raw
    assert "+    return" in plain.shown
    # What does not fit goes through the pager that the person chose, colours included.
    (cli.cwd / "pager").write_text(f"#!/bin/sh\ncat > {cli.cwd}/paged\necho paged, LESS=$LESS\n")
    (cli.cwd / "pager").chmod(0o755)
    long = cli.terminal("diff", "last", PAGER=str(cli.cwd / "pager"))
    assert long.end() == 0
    assert "paged, LESS=FRX" in long.shown
    assert "\x1b[32m+" in (cli.cwd / "paged").read_text()
    unpaged = cli.terminal("diff", "last", "--no-pager", PAGER=str(cli.cwd / "pager"))
    assert unpaged.end() == 0
    assert "paged" not in unpaged.shown


def test_resume_after_undo_waits_for_redo(cli: Cli, project: Path, model: Steps) -> None:
    model.given["summary_step"] = Fault("status", status=400, message="no")
    model.given["implementation_step[slug.py]"] = [block("slug.py", SLUG), Fault("status", status=400)]
    done = run_coding(cli)
    assert done.object["status"] != "Success", done
    assert cli("undo", "last").code == 0
    refused = cli("resume", "last", "--json")
    assert refused.code == 1
    assert f"take that back first with: windlass redo {done.object['run_id']}" in refused.err
    assert cli("redo", "last").code == 0
    del model.given["summary_step"]
    resumed = cli("resume", "last", "--json")
    assert resumed.code == 0, resumed
    assert resumed.object["status"] == "Success"


def test_an_undo_killed_halfway(cli: Cli, project: Path, model: Steps) -> None:
    model.given["design_step"] = (
        '{"files": [{"path": "slug.py", "purpose": "s"}, {"path": "old.py", "purpose": "w"}], "tests": []}'
    )
    (project / "old.py").write_text("OLD = 1\n")
    model.given["implementation_step[old.py]"] = block("old.py", "OLD = 2\n")
    before = files(project)
    assert run_coding(cli).code == 0
    after = files(project)
    killed_writing(cli, 2, "undo", "last")
    halfway = files(project)
    assert halfway["old.py"] == before["old.py"]
    assert halfway["slug.py"] == after["slug.py"]
    assert cli("undo", "last").code == 0
    assert files(project) == before
    killed_writing(cli, 2, "redo", "last")
    assert cli("undo", "last").code == 0
    assert files(project) == before
    killed_writing(cli, 1, "redo", "last")
    assert cli("redo", "last").code == 0
    assert files(project) == after


@pytest.mark.parametrize("at", [1, 2])
def test_a_run_killed_while_it_writes_several_files(
    cli: Cli, project: Path, model: Steps, server: OpenAIServer, at: int
) -> None:
    model.given["design_step"] = TWO_FILES
    model.given["implementation_step[slug.py]"] = block("slug.py", WRONG_SLUG + "# once\n")
    model.given["implementation_step[words.py]"] = block("words.py", "WRONG = 1\n")
    model.given["testing_step.repair[1]"] = block("slug.py", BY_WORDS) + "\n" + block("words.py", WORDS)
    before = files(project)
    killed_writing(cli, 2 + at, *CODING)
    halfway = files(project)
    assert (halfway["words.py"], b"words(text)" in halfway["slug.py"]) == (b"WRONG = 1\n", at == 2)
    undone = cli("undo", "last")
    assert undone.code == 0, undone
    assert files(project) == before
    assert cli("redo", "last").code == 0
    done = cli("resume", "last", "--yes", "--json")
    assert done.code == 0, done
    assert done.object["status"] == "Success"
    assert files(project).keys() == {"slug.py", "test_slug.py", "words.py"}
    assert files(project)["words.py"] == WORDS.encode()
    assert server.count(step="testing_step.repair[1]") == 1
    assert cli("undo", "last").code == 0
    assert files(project) == before


def test_undo_while_the_run_is_at_work(cli: Cli, project: Path, model: Steps, server: OpenAIServer) -> None:
    model.given["implementation_step[slug.py]"] = Answer(block("slug.py", SLUG))
    model.given["summary_step"] = Fault("stall", after_chunks=1)
    model.given["design_step"] = Answer('{"files": [{"path": "slug.py", "purpose": "s"}], "tests": []}')
    model.given["testing_step.repair[1]"] = Fault("stall", after_chunks=1)
    model.given["implementation_step[slug.py]"] = block("slug.py", WRONG_SLUG + "# x\n")
    running = cli.start(*CODING)
    try:
        assert server.wait_for("open", number=1, timeout=PATIENCE)
        deadline = PATIENCE
        while server.count(step="testing_step.repair[1]") == 0 and deadline > 0:
            server.wait_for("failed", timeout=0.1)
            deadline -= 0.1
        written = files(project)
        refused = cli("undo", "last")
        assert refused.code == 1
        assert f"is being worked on by process {running.pid}" in refused.err
        assert files(project) == written
    finally:
        running.kill()
        running.communicate()
    # Its process is dead: nobody needs to wait for a lease to end.
    assert cli("undo", "last").code == 0
    assert files(project) != written


def test_writes_wait_for_approval(cli: Cli, project: Path, server: OpenAIServer) -> None:
    before = files(project)
    done = run_coding(cli, "--approve", "writes")
    assert done.code == 3, done
    question = done.object["waiting_for"]
    assert question["kind"] == "writes"
    assert '+    return "-".join' in question["detail"]["diff"]
    assert question["detail"]["files"] == [{"path": "slug.py", "change": "modified"}]
    assert files(project) == before
    asked = server.count()
    on = cli("answer", "last", "approve", "--json")
    assert on.code == 0, on
    assert on.object["status"] == "Success"
    assert SLUG.splitlines()[1].encode() in files(project)["slug.py"]
    assert server.count(step="implementation_step[slug.py]") == 1
    assert server.count() > asked


def test_rejected_later(cli: Cli, project: Path) -> None:
    before = files(project)
    assert run_coding(cli, "--approve", "writes").code == 3
    done = cli("answer", "last", "reject", "--json")
    assert done.code == 1
    assert "The changes were rejected; nothing was written." in done.object["error"]
    assert files(project) == before


def test_a_file_changed_between_question_and_answer(cli: Cli, project: Path) -> None:
    assert run_coding(cli, "--approve", "writes").code == 3
    (project / "slug.py").write_text("mine\n")
    done = cli("answer", "last", "approve", "--json")
    assert done.code == 1
    assert "slug.py was changed by someone else while the run was working on it" in done.object["error"]
    assert (project / "slug.py").read_text() == "mine\n"


@pytest.mark.parametrize(("key", "status"), [("a", "Success"), ("r", "Failure")])
def test_approval_at_a_terminal(cli: Cli, project: Path, key: str, status: str) -> None:
    before = files(project)
    shown = cli.terminal(*CODING, "--approve", "writes")
    shown.wait_for("Write these changes?")
    assert "+++ b/slug.py" in shown.shown
    assert files(project) == before
    shown.type(f"{key}\n")
    code = shown.end()
    assert (code == 0) == (status == "Success")
    assert status in shown.shown
    assert (files(project) == before) == (status == "Failure")


@pytest.fixture
def bucket(cli: Cli) -> Iterator[dict[str, bytes]]:
    """An object store; what it holds is read through :func:`objects`."""
    import boto3

    with moto_server() as endpoint:
        cli.environment |= {
            "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1",
            "WINDLASS_S3__ENDPOINT": endpoint,
        }  # fmt: skip
        store = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        store.create_bucket(Bucket="code")
        store.put_object(Bucket="code", Key="a/slug.py", Body=WRONG_SLUG.encode())
        store.put_object(Bucket="code", Key="a/test_slug.py", Body=SLUG_TEST.encode())
        yield store  # type: ignore[misc]


def objects(store: object) -> dict[str, bytes]:
    listed = store.list_objects_v2(Bucket="code").get("Contents", ())  # type: ignore[attr-defined]
    return {o["Key"]: store.get_object(Bucket="code", Key=o["Key"])["Body"].read() for o in listed}  # type: ignore[attr-defined]


def test_in_an_object_store(cli: Cli, bucket: dict[str, bytes], model: Steps) -> None:
    model.given["design_step"] = TWO_FILES
    model.given["implementation_step[words.py]"] = block("words.py", WORDS)
    before = objects(bucket)
    (cli.cwd / "test_slug.py").write_text(SLUG_TEST)
    arguments = (*CODING[:4], "s3://code/a", *CODING[5:], "--json")
    done = cli(*arguments)
    assert done.code == 0, done
    after = objects(bucket)
    assert after == before | {"a/slug.py": SLUG.encode(), "a/words.py": WORDS.encode()}
    assert "+++ b/words.py" in cli("diff", "last").out
    undone = cli("undo", "last")
    assert undone.code == 0, undone
    assert objects(bucket) == before
    assert cli("redo", "last").code == 0
    assert objects(bucket) == after
    bucket.put_object(Bucket="code", Key="a/slug.py", Body=b"mine\n")  # type: ignore[attr-defined]
    refused = cli("undo", "last")
    assert refused.code == 1
    assert "slug.py: changed after the run; nothing was written" in refused.err
    assert objects(bucket) == after | {"a/slug.py": b"mine\n"}


def test_files_and_tests_that_only_the_object_store_has(cli: Cli, bucket: dict[str, bytes]) -> None:
    before = objects(bucket)
    bucket.put_object(Bucket="code", Key="a/tests/test_more.py", Body=SLUG_TEST.encode())  # type: ignore[attr-defined]
    run = ("run", "coding", "A slug", "--workspace", "s3://code/a", "--yes", "--json")
    done = cli(*run, "--tests", "test_slug.py", "--tests", "tests", "--file", "sl*.py")
    assert done.code == 0, done
    assert (done.object["tests"]["passed"], done.object["files"][0]["path"]) == (2, "slug.py")
    assert objects(bucket) == before | {
        "a/slug.py": SLUG.encode(), "a/tests/test_more.py": SLUG_TEST.encode()
    }  # fmt: skip
    for wrong, said in (
        ("test_nope.py", "There is no file test_nope.py in s3://code/a, nor here (given with --tests)."),
        ("deep/**/*.py", "No file in s3://code/a or here matches 'deep/**/*.py' (given with --tests)."),
        ("../test_slug.py", "There is no file ../test_slug.py in s3://code/a"),
    ):
        refused = cli(*run, "--tests", wrong)
        assert refused.code == 2
        assert said in " ".join(refused.err.split())


def test_two_runs_on_one_prefix_cannot_overwrite_each_other(
    cli: Cli, bucket: dict[str, bytes], model: Steps
) -> None:
    first = "# first\n" + SLUG
    model.given["implementation_step[slug.py]"] = [block("slug.py", first), block("slug.py", SLUG)]
    (cli.cwd / "test_slug.py").write_text(SLUG_TEST)
    arguments = (*CODING[:4], "s3://code/a", *CODING[5:], "--json")
    waiting = cli(*arguments, "--approve", "writes")
    assert waiting.code == 3, waiting
    other = cli(*arguments)
    assert other.code == 0, other
    late = cli("answer", waiting.object["run_id"], "approve", "--json")
    assert late.code == 1
    assert "slug.py was changed by someone else" in late.object["error"]
    assert objects(bucket)["a/slug.py"] == SLUG.encode()
