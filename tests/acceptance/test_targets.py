"""``--to``: what cannot be written is said in one sentence before anything is kept or spent."""

from __future__ import annotations

import os

import pytest

from tests.acceptance.cli import Cli
from tests.acceptance.test_bad_input import one_sentence
from tests.acceptance.test_documents import Model
from windlass.testing.server import OpenAIServer


@pytest.fixture
def model() -> Model:
    """The model's answers by prompt name."""
    return Model()


@pytest.fixture
def places(cli: Cli) -> None:
    """One of each kind of thing that is in the way."""
    (cli.cwd / "d" / "e.txt").mkdir(parents=True)
    (cli.cwd / "d" / "test_calc").mkdir()
    (cli.cwd / "README.md").write_text("# Mine\n")
    (cli.cwd / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    os.mkfifo(cli.cwd / "pipe")
    (cli.cwd / "latin.md").write_bytes(b"caf\xe9\n")
    (cli.cwd / "picture.txt").write_bytes(b"\x89PNG\0\0")
    (cli.cwd / "link.md").symlink_to("README.md")


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(
    ("workflow", "to", "says"),
    [
        ("write", "d", "d is a folder"),
        ("write", "d/e", "d/e.txt is a folder"),
        ("write", "pipe", "pipe is a pipe, socket or device"),
        ("write", "link.md", "link.md is a symbolic link"),
        ("write", "latin.md", "latin.md is not UTF-8 text"),
        ("write-pages", "picture.txt", "picture.txt is a binary file"),
        ("write", "README.md/more.md", "README.md is a file"),
        ("write", "Readme.md", "differs only in case or Unicode form from 'README.md'"),
        ("write-pages", "d", "d is a folder"),
        ("write-tests", "calc", "calc.py is the file under test"),
        ("write-tests", "README.md/test_calc", "README.md is a file"),
    ],
)
def test_a_target_that_cannot_be_written(
    cli: Cli, server: OpenAIServer, workflow: str, to: str, says: str
) -> None:
    more = {"write-pages": ["--pages", "2"], "write-tests": ["--file", "calc.py"]}.get(workflow, [])
    one_sentence(cli("run", workflow, "Do it.", "--to", to, *more, "--quiet"), 2, says)
    assert server.count() == 0
    assert cli("runs", "list", "--json").out.strip() == "[]"
