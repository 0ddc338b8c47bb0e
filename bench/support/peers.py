"""The programs that ``bench/peers.py`` compares: how each is installed, started, gone on with, and answered."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.support.shop import FILES, MISTAKEN, PLAN, SUMMARY, TASK, TEST_PATH, fenced, first

from windlass.testing.server import Request

#: Runs the tests, for every peer alike.
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST_PATH]

Command = Callable[[Path, Path], Sequence[str]]


@dataclass(frozen=True)
class Peer:
    """One program. ``start`` and ``go_on`` give its command from its venv (``bin``'s folder) and the scratch folder.

    ``go_on`` is what its documentation offers after a kill, where it offers anything; else it is started again. ``answer``
    is the model's reply to a request, in the form that the peer reads.
    """

    name: str
    packages: Sequence[str]
    start: Command
    go_on: Command
    answer: Callable[[Request], str]
    env: Mapping[str, str] = field(default_factory=dict)
    differs: str = ""

    def python(self, folder: Path) -> Path:
        """The interpreter of its venv."""
        return folder / self.name / "bin" / "python"


# -- Windlass -------------------------------------------------------------------------------------


def _windlass(*words: str) -> Command:
    return lambda _bin, _scratch: [str(Path(sys.executable).with_name("windlass")), *words]


def _windlass_answer(request: Request) -> str:
    step = request.step
    if step.startswith("requirement_step"):
        return json.dumps({"acceptance_criteria": ["The given tests pass."], "open_questions": []})
    if step == "design_step":
        needs = {"money.py": [], "cart.py": ["money.py"], "receipt.py": ["money.py", "cart.py"]}
        files = [{"path": path, "purpose": PLAN[:60], "depends_on": needs[path]} for path in FILES]
        return json.dumps({"files": files, "tests": [{"path": TEST_PATH, "purpose": "given"}]})
    if step.startswith("implementation_step["):
        path = step.removeprefix("implementation_step[").removesuffix("]")
        return fenced(path, first(path))
    if step.startswith("testing_step.repair["):
        return fenced(MISTAKEN, FILES[MISTAKEN])
    return SUMMARY


# -- aider ----------------------------------------------------------------------------------------


def _aider(*more: str) -> Command:
    def command(folder: Path, scratch: Path) -> Sequence[str]:
        return [
            str(folder / "bin" / "aider"),
            *("--model", "openai/test-model", "--architect", "--auto-accept-architect"),
            *("--editor-edit-format", "editor-whole", "--read", TEST_PATH),
            *("--test-cmd", shlex.join(PYTEST), "--auto-test", "--no-auto-lint"),
            *("--yes-always", "--no-git", "--no-check-update", "--analytics-disable", "--no-show-model-warnings"),
            *("--no-show-release-notes", "--no-detect-urls", "--no-pretty", "--no-suggest-shell-commands"),
            *("--model-metadata-file", str(scratch / "aider-models.json")),
            *more,
            *("--message", TASK),
        ]  # fmt: skip

    return command


def _aider_answer(request: Request) -> str:
    system = str(request.messages[0].get("content"))
    if "architect" in system.lower():
        return PLAN
    if "test_shop.py::" in str(request.messages[-1].get("content")):
        return fenced(MISTAKEN, FILES[MISTAKEN])
    return "\n".join(fenced(path, first(path)) for path in FILES)


# -- mini-swe-agent -------------------------------------------------------------------------------


def _mini(folder: Path, scratch: Path) -> Sequence[str]:
    return [
        str(folder / "bin" / "mini"),
        *("-m", "openai/test-model", "--model-class", "litellm_textbased", "-c", "mini_textbased.yaml"),
        *("-y", "--exit-immediately", "-o", str(scratch / "mini.traj.json"), "-t", TASK),
    ]


def _mini_answer(request: Request) -> str:
    said = sum(message.get("role") == "assistant" for message in request.messages)
    writes = [_heredoc(path, first(path)) for path in FILES]
    tests = shlex.join(PYTEST)
    actions = [
        "ls", *writes, tests, _heredoc(MISTAKEN, FILES[MISTAKEN]), tests, "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT",
    ]  # fmt: skip
    thought = PLAN if said == 0 else SUMMARY if said == len(actions) - 1 else "The next part of the plan."
    return f"THOUGHT: {thought}\n\n```mswea_bash_command\n{actions[min(said, len(actions) - 1)]}\n```\n"


def _heredoc(path: str, text: str) -> str:
    return f"cat <<'END_OF_FILE' > {path}\n{text}END_OF_FILE"


# -- LangGraph ------------------------------------------------------------------------------------


def _langgraph(folder: Path, scratch: Path) -> Sequence[str]:
    script = Path(__file__).with_name("langgraph_coder.py")
    return [
        str(folder / "bin" / "python"), str(script), str(scratch / "graph.db"), str(scratch / "task.md"), *PYTEST,
    ]  # fmt: skip


def _langgraph_answer(request: Request) -> str:
    step = str(request.messages[-1]["content"]).splitlines()[0].removeprefix("STEP: ")
    if step.startswith("write "):
        path = step.removeprefix("write ")
        return fenced(path, first(path))
    if step == "repair":
        return fenced(MISTAKEN, FILES[MISTAKEN])
    return SUMMARY if step == "summary" else PLAN


PEERS = (
    Peer(
        "windlass",
        (),
        lambda folder, scratch: [
            *_windlass("run", "coding")(folder, scratch),
            *(f"@{scratch / 'task.md'}", "--workspace", ".", "--tests", TEST_PATH, "--yes", "--json"),
        ],
        _windlass("resume", "last", "--json"),
        _windlass_answer,
        {"WINDLASS_MODEL": "openai-chat:test-model", "WINDLASS_TAG_REQUESTS": "1"},
        "criteria, design, three files, a repair, a summary; tests run in a sandbox",
    ),
    Peer(
        "langgraph",
        ("langgraph", "langgraph-checkpoint-sqlite", "openai"),
        _langgraph,
        _langgraph,
        _langgraph_answer,
        differs="a graph written for this task (bench/support/langgraph_coder.py), the same seven replies; no sandbox",
    ),
    Peer(
        "mini-swe-agent",
        ("mini-swe-agent",),
        _mini,
        _mini,
        _mini_answer,
        {"MSWEA_CONFIGURED": "true", "MSWEA_COST_TRACKING": "ignore_errors", "MSWEA_SILENT_STARTUP": "1"},
        "one action a reply: look, three files, test, repair, test, submit; no sandbox",
    ),
    Peer(
        "aider",
        ("aider-chat",),
        _aider(),
        _aider("--restore-chat-history"),
        _aider_answer,
        differs="--architect: a plan, one reply with all files, one with the repair; no sandbox, no git",
    ),
)
