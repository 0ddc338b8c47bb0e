"""Bad input of the document workflows through the real command: one clear sentence, the right exit code, no harm done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import Cli, Done
from tests.acceptance.test_bad_input import one_sentence
from tests.acceptance.test_documents import Model, journal
from windlass.journal import EntryState
from windlass.testing.server import OpenAIServer, Request

#: What a terminal that is not set to UTF-8 hands over for "café".
LATIN = "caf\udce9"
SORRY = "I'm sorry, but I cannot help with that request."
WORKFLOWS = ("chat", "write", "write-pages", "write-tests", "auto")


@pytest.fixture
def model() -> Model:
    """The model's answers by prompt name."""
    return Model()


def nothing_kept(cli: Cli, server: OpenAIServer) -> None:
    """Nothing was asked of the model, and no run stands in the list."""
    assert server.count() == 0
    assert cli("runs", "list", "--json").out.strip() == "[]"


def refused(cli: Cli, server: OpenAIServer, *arguments: str, says: str) -> None:
    """One sentence, exit code 2, no run, no request."""
    one_sentence(cli("run", *arguments, "--quiet"), 2, says)
    nothing_kept(cli, server)


def every_reply_kept(cli: Cli, server: OpenAIServer, done: Done) -> dict[str, Any]:
    """The report of a run, of which every reply that the server gave is in the journal."""
    report = done.object
    kept = [
        e
        for e in journal(cli, report["run_id"])
        if e.kind == "model" and e.state is EntryState.DONE and e.result
    ]
    assert len(kept) == server.count() == report["usage"]["requests"] > 0
    return report


def files(cli: Cli) -> dict[str, str]:
    """What the folder holds, by name."""
    return {p.relative_to(cli.cwd).as_posix(): p.read_text() for p in cli.cwd.rglob("*") if p.is_file()}


# -- what a person gives ------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", ["coding", *WORKFLOWS])
def test_message_that_is_not_utf8(cli: Cli, server: OpenAIServer, workflow: str) -> None:
    what = "requirement" if workflow == "coding" else "message"
    refused(cli, server, workflow, LATIN, says=f"The {what} is not UTF-8 text (character 4)")


def test_other_texts_that_are_not_utf8(cli: Cli, server: OpenAIServer) -> None:
    for option in ("--criteria", "--to"):
        refused(cli, server, "write", "x", option, LATIN, says="not UTF-8 text (character 4)")


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_empty_message(cli: Cli, server: OpenAIServer, workflow: str) -> None:
    refused(cli, server, workflow, " \n", says="The message is empty")


def test_message_from_a_file_that_is_not_there(cli: Cli, server: OpenAIServer, model: Model) -> None:
    refused(cli, server, "chat", "@ada please", says="begins with @, put a space before it")
    asked: list[str] = []
    model.given["chat"] = lambda request: asked.append(request.text) or "Yes."  # type: ignore[func-returns-value]
    assert cli("run", "chat", " @ada please", "--quiet").code == 0
    assert "@ada please" in asked[0]


@pytest.mark.parametrize(
    ("option", "name", "says"),
    [
        ("--model", "gpt-nonsense-9", "gpt-nonsense-9"),
        ("--model", "", "is empty"),
        ("--fast-model", "nobody:x", "nobody"),
    ],
)
def test_unknown_model(cli: Cli, server: OpenAIServer, option: str, name: str, says: str) -> None:
    refused(cli, server, "write", "x", "--to", "a.md", option, name, says=says)


def test_unknown_model_of_a_tag(cli: Cli, server: OpenAIServer) -> None:
    refused(cli, server, "chat", "x", "--tag", "model=nomodel", says="known are")


@pytest.mark.parametrize("pages", ["0", "-1", "ten", "+-5", "9" * 5000])
def test_page_count(cli: Cli, server: OpenAIServer, pages: str) -> None:
    refused(
        cli, server, "write-pages", "x", "--to", "b.md", f"--pages={pages}", says="The page count must be"
    )


def test_a_thousand_pages_are_a_hundred(cli: Cli, model: Model) -> None:
    done = cli("run", "write-pages", "A book.", "--to", "book.md", "--pages", "1000", "--json")
    assert done.code == 0, done.err
    pages = re.findall(r"^# Page (\d+)$", files(cli)["book.md"], re.MULTILINE)
    assert pages == [str(number) for number in range(1, 101)]
    assert "at most 100" in cli("runs", "show", "last", "--events").out


@pytest.mark.parametrize(
    ("workflow", "tag"),
    [
        *((workflow, "pages=abc") for workflow in WORKFLOWS),
        ("chat", "pages=0"),
        ("write", "best of=lots"),
        ("auto", "loops=-1"),
        ("write-pages", "colour=red"),
    ],
)
def test_tags(cli: Cli, server: OpenAIServer, workflow: str, tag: str) -> None:
    (cli.cwd / "a.py").write_text("x = 1\n")
    name = {"pages": "page count"}.get(tag.partition("=")[0], tag.partition("=")[0])
    refused(cli, server, workflow, "x", "--file", "a.py", "--tag", "pages=3", "--tag", tag, says=name)


@pytest.mark.parametrize("named", ["trial", "coding", "nonsense"])
def test_workflow_of_a_tag(cli: Cli, server: OpenAIServer, named: str) -> None:
    known = f"No workflow is called '{named}'; known: chat, write, write-pages, write-tests, auto."
    refused(cli, server, "chat", "x", "--tag", f"workflow={named}", says=known)


@pytest.mark.parametrize("option", ["--file", "--reference"])
def test_files_that_cannot_be_given(cli: Cli, server: OpenAIServer, option: str) -> None:
    (cli.cwd / "src").mkdir()
    (cli.cwd / "picture.png").write_bytes(b"\x89PNG\0\0")
    (cli.cwd / "latin.md").write_bytes(b"caf\xe9\n")
    (cli.cwd / "long.txt").write_text("x" * 600_001)
    with (cli.cwd / "huge.txt").open("wb") as huge:
        huge.truncate(50_000_000)
    refusals = (
        ("*.rst", "No file matches '*.rst'"),
        ("nowhere.md", "There is no file nowhere.md"),
        ("src", "src is a folder; name files with"),
        ("picture.png", "picture.png is a binary file"),
        ("latin.md", "latin.md is not UTF-8 text"),
        ("long.txt", "has 600,001 characters; at most 600,000 characters"),
        ("huge.txt", "has 50,000,000 bytes; at most 600,000 characters"),
        ("", "An empty name was given"),
    )
    # One of the two options all of them, the other those that are read only for it.
    for given, says in refusals if option == "--file" else refusals[-2:]:
        one_sentence(cli("run", "write", "x", "--to", "a.md", option, given, "--quiet"), 2, says)
    nothing_kept(cli, server)


def test_more_text_than_one_request_may_show(cli: Cli, server: OpenAIServer) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (cli.cwd / name).write_text("x" * 299_000)
    three = [word for name in ("a.txt", "b.txt", "c.txt") for word in ("--file", name)]
    says = "The files to show the model hold 897,"
    refused(cli, server, "chat", "x", *three, says=says)
    refused(cli, server, "write", "x", "--to", "new.txt", *three, says=says)
    refused(cli, server, "write-pages", "x", "--to", "new.txt", "--pages", "2", *three, says=says)
    refused(
        cli,
        server,
        "auto",
        "x",
        "--file",
        "a.txt",
        *(w.replace("file", "reference") for w in three),
        says=says,
    )
    # Sent each alone, or as the file that is written, they are few enough.
    assert cli("run", "auto", "x", *three, "--quiet").code == 0
    assert cli("run", "write", "x", "--to", "c.txt", *three, "--quiet").err.count("to show the model") == 0


NFD, NFC = "cafe\u0301", "caf\u00e9"


@pytest.mark.parametrize("typed", [f"{NFC}/{NFC}.md", f"{NFD}/{NFD}.md", f"{NFC}/*.md", f"{NFC}/{NFD}.m?"])
def test_a_name_that_is_typed_in_another_unicode_form_than_on_the_disk(
    cli: Cli, model: Model, typed: str
) -> None:
    (cli.cwd / NFD).mkdir()
    (cli.cwd / NFD / f"{NFD}.md").write_text("An espresso.\n")
    asked: list[str] = []
    model.given["chat"] = lambda request: asked.append(request.text) or "Yes."  # type: ignore[func-returns-value]
    done = cli("run", "chat", "What is it?", "--file", typed, "--quiet")
    assert done.code == 0, done.err
    assert f"{NFC}/{NFC}.md\n```\nAn espresso.\n```" in asked[0]


def test_two_names_that_differ_in_nothing_but_their_unicode_form(cli: Cli, server: OpenAIServer) -> None:
    (cli.cwd / "two").mkdir()
    for name in (NFC, NFD):
        (cli.cwd / "two" / f"{name}.md").write_text("An espresso.\n")
    (cli.cwd / "two").rename(cli.cwd / f"{NFD}s")
    says = f"its folder holds 2 names that look like '{NFC}.md'"
    refused(cli, server, "chat", "x", "--file", f"{NFC}s/{NFC}.md", says=says)


def test_a_change_is_shown_and_undone_by_the_name_in_either_unicode_form(cli: Cli, model: Model) -> None:
    (cli.cwd / f"{NFD}.md").write_text("before\n")
    assert cli("run", "auto", "Change it.", "--file", f"{NFC}.md", "--quiet").code == 0
    for typed in (f"{NFC}.md", f"{NFD}.md"):
        assert f"changed {NFC}.md" in cli("diff", "last", typed).out
    assert cli("undo", "last", f"{NFD}.md").code == 0
    assert (cli.cwd / f"{NFD}.md").read_text() == "before\n"


def test_target_outside_the_workspace(cli: Cli, server: OpenAIServer) -> None:
    for name in ("../a.md", "/etc/a.md", ".git/config", " "):
        one_sentence(cli("run", "write", "x", "--to", name, "--quiet"), 2)
    nothing_kept(cli, server)


@pytest.mark.parametrize("workflow", ["coding", "write-tests"])
def test_a_test_command_that_nobody_finds(cli: Cli, server: OpenAIServer, workflow: str) -> None:
    (cli.cwd / "a.py").write_text("x = 1\n")
    given = (workflow, "x", "--workspace", ".", "--file", "a.py", "--test-command")
    refused(cli, server, *given, "nosuchcmd -q", says="There is no command 'nosuchcmd' to run tests with")
    refused(cli, server, *given, "pytest 'x", says="No closing quotation")


@pytest.mark.parametrize(
    "given",
    [
        ("--nonsense",),
        ("--best-of", "many"),
        ("--file", "*.rst"),
        ("--tag", "pages=abc"),
        ("--model", "nomodel"),
    ],
)
def test_scripts_get_their_object_also_when_there_is_no_run(
    cli: Cli, server: OpenAIServer, given: tuple[str, ...]
) -> None:
    done = cli("run", "chat", "x", *given, "--json")
    assert done.code == 2
    assert (done.object["run_id"], done.object["status"]) == (None, None)
    assert done.object["error"].rstrip(".") in " ".join(done.err.split())
    nothing_kept(cli, server)
    assert "run_id" not in cli("run", "chat", *given, "--", "--json").out


# -- two files with one name --------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders beside the workspace that hold a README.md each."""
    folder = tmp_path_factory.mktemp("outside")
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "README.md").write_text(f"template {name}\n")
    return folder


def test_files_with_one_name_are_all_sent(cli: Cli, model: Model, outside: Path) -> None:
    (cli.cwd / "README.md").write_text("my own\n")
    asked: list[str] = []
    model.given["chat"] = lambda request: asked.append(request.text) or "Yes."  # type: ignore[func-returns-value]
    one, two = str(outside / "one/README.md"), str(outside / "two/README.md")
    for given in (
        ("--file", "README.md", "--file", one, "--file", two),
        ("--file", one, "--reference", two, "--reference", "README.md"),
        ("--reference", "README.md", "--file", two, "--reference", one, "--file", one),
    ):
        done = cli("run", "chat", "Compare.", *given, "--quiet")
        assert done.code == 0, done.err
        shown = dict(re.findall(r"^(\S*README\.md)\n```\n(.*)\n```$", asked[-1], re.MULTILINE))
        assert shown == {
            "README.md": "my own",
            "one/README.md": "template one",
            "two/README.md": "template two",
        }


def test_a_template_is_sent_for_the_file_that_has_its_name(cli: Cli, model: Model, outside: Path) -> None:
    asked: list[str] = []

    def write(request: Request) -> str:
        asked.append(request.text)
        return "README.md\n````\n# Adapted\n````"

    model.given |= {
        "plan_file": lambda request: asked.append(request.text) or "- adapt",  # type: ignore[func-returns-value]
        "write_file": write,
        "find_files": lambda request: '{"files": [{"path": "README.md", "purpose": "it", "needs": []}]}',
    }
    given = ("--file", str(outside / "one/README.md"), "--json")
    # Named by the person, where it does not exist and where it does; then found by the model.
    for target in (("--to", "README.md"), ("--to", "README.md"), ()):
        done = cli("run", "write", "Adapt the template.", *target, *given)
        assert done.code == 0, done.err
        (cli.cwd / "README.md").write_text("mine\n")
    (cli.cwd / "README.md").unlink()
    assert cli("run", "write", "Adapt the template.", *given).code == 0
    assert len(asked) == 8
    assert all("template one" in text for text in asked)
    assert files(cli) == {"README.md": "# Adapted\n"}
    assert (outside / "one/README.md").read_text() == "template one\n"


def test_files_that_are_brought_in_are_refused_when_two_have_one_name(
    cli: Cli, server: OpenAIServer, outside: Path
) -> None:
    (cli.cwd / "README.md").write_text("my own\n")
    one, two = str(outside / "one/README.md"), str(outside / "two/README.md")
    for given in (("README.md", one), (one, "README.md"), (one, two)):
        named = [word for name in given for word in ("--file", name)]
        refused(cli, server, "coding", "x", "--workspace", ".", *named, says="would both be README.md")
    (outside / "test_a.py").write_text("def test_a():\n    assert True\n")
    (cli.cwd / "test_a.py").write_text("x = 1\n")
    tests = ("--file", "test_a.py", "--tests", str(outside / "test_a.py"))
    refused(cli, server, "coding", "x", "--workspace", ".", *tests, says="would both be test_a.py")


def test_targets_with_one_base_name(cli: Cli, server: OpenAIServer, model: Model) -> None:
    for folder in ("a", "b"):
        (cli.cwd / folder).mkdir()
        (cli.cwd / folder / "x.txt").write_text(f"old {folder}\n")
    done = cli("run", "auto", "Change it.", "--file", "*/x.txt", "--json")
    assert done.code == 0, done.err
    every_reply_kept(cli, server, done)
    assert files(cli) == {"a/x.txt": "changed a/x.txt\n", "b/x.txt": "changed b/x.txt\n"}


@pytest.mark.parametrize("workflow", ["auto", "write-tests"])
def test_a_file_to_work_on_that_is_outside(
    cli: Cli, server: OpenAIServer, outside: Path, workflow: str
) -> None:
    given = str(outside / "one/README.md")
    refused(cli, server, workflow, "x", "--file", given, says="is outside the workspace")


# -- what a model gives -------------------------------------------------------------------------


def fails(cli: Cli, server: OpenAIServer, *arguments: str, says: str) -> None:
    """The run ends in Failure with that sentence, keeps every reply, and leaves all files as they were."""
    (cli.cwd / "mine.md").write_text("mine\n")
    before = files(cli)
    done = cli("run", *arguments, "--json")
    assert done.code == 1, done.err
    report = every_reply_kept(cli, server, done)
    assert (report["status"], report["files"]) == ("Failure", [])
    assert says in report["error"]
    assert "\n" not in report["error"]
    assert files(cli) == before


@pytest.mark.parametrize("reply", ['{"files": []}', "Nothing needs to be written, I think.", SORRY])
def test_a_model_that_finds_no_file(cli: Cli, server: OpenAIServer, model: Model, reply: str) -> None:
    model.given["find_files"] = lambda request: reply
    fails(cli, server, "write", "Do it.", says="Name the file yourself with --to PATH.")


def test_three_prompts_for_five_pages(cli: Cli, server: OpenAIServer, model: Model) -> None:
    model.given["define_pages"] = lambda request: json.dumps({"pages": ["one", "two", "three"]})
    says = "exactly 5 pages must be defined, the reply defines 3"
    fails(cli, server, "write-pages", "A book.", "--to", "mine.md", "--pages", "5", says=says)


@pytest.mark.parametrize(
    ("workflow", "prompts", "given"),
    [
        ("write", ("write_file",), ("--to", "mine.md")),
        ("write-pages", ("write_page",), ("--to", "mine.md", "--pages", "2")),
        ("write-tests", ("write_tests",), ("--file", "calc.py")),
        ("auto", ("process_file",), ("--file", "*.md")),
    ],
)
def test_an_apology_in_place_of_a_file(
    cli: Cli,
    server: OpenAIServer,
    model: Model,
    workflow: str,
    prompts: tuple[str, ...],
    given: tuple[str, ...],
) -> None:
    (cli.cwd / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    model.given |= {name: lambda request: SORRY for name in prompts}
    fails(cli, server, workflow, "Do it.", *given, says="after 3 tries")


def test_an_apology_for_one_file_does_not_stop_the_others(
    cli: Cli, server: OpenAIServer, model: Model
) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (cli.cwd / name).write_text("old\n")
    model.given["process_file"] = lambda request: (
        SORRY if "# The file\nb.txt\n" in request.text else model.process_file(request)
    )
    done = cli("run", "auto", "Change it.", "--file", "*.txt", "--json")
    assert done.code == 1
    report = every_reply_kept(cli, server, done)
    assert "b.txt" in report["error"]
    assert files(cli) == {"a.txt": "changed a.txt\n", "b.txt": "old\n", "c.txt": "changed c.txt\n"}
