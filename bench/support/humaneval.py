"""Genuine programs in every reply shape: parsed, written by the workspace, and checked by their own tests in the sandbox."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.support.shapes import DRESS, WHOLE, shaped

from windlass.replies import ReplyError, parse_reply
from windlass.sandbox.base import Limits, Sandbox
from windlass.workspace import Change, to_bytes
from windlass.workspace.local import LocalWorkspace

#: Runs every program with its check; prints one JSON line for each that fails.
RUNNER = """\
import json, pathlib
checks = json.loads(pathlib.Path("checks.json").read_text())
count = 0
for path, check in checks.items():
    try:
        exec(compile(pathlib.Path(path).read_text() + check, path, "exec"), {"__name__": "checked"})
        count += 1
    except BaseException as error:
        print(json.dumps(f"{path}: {error!r}"))
print(f"passed {count}")
"""


@dataclass
class Outcome:
    """How many replies there were, and what went wrong with which."""

    replies: int = 0
    shapes: int = 0
    passed: int = 0
    level: str = ""
    problems: list[str] = field(default_factory=list)


def program(row: dict[str, Any]) -> str:
    """The whole file a model would be asked for: the prompt's head and the canonical solution."""
    return row["prompt"].strip("\n") + "\n" + row["canonical_solution"].rstrip("\n") + "\n"


async def walk(rows: Sequence[dict[str, Any]], folder: Path, sandbox: Sandbox) -> Outcome:
    """Every program in every shape and dress, written into the empty ``folder`` and checked there in one run."""
    outcome = Outcome()
    space = LocalWorkspace(folder)
    kinds, checks = set(), {}
    for number, row in enumerate(rows):
        text = program(row)
        changes, meant = [], {}
        for shape in WHOLE:
            for dress in DRESS:
                path = f"p{number}/{shape}_{dress}.py"
                reply = shaped(path, None, text, prefer=[shape], dress=dress)
                outcome.replies += 1
                kinds.add(reply.shape)
                try:
                    files = parse_reply(reply.reply, asked_for=[path], known_files={})
                except ReplyError as error:
                    outcome.problems.append(f"{path} refused: {error}")
                    continue
                if list(files) != [path]:
                    outcome.problems.append(f"{path} became {list(files)}")
                    continue
                changes.append(Change(path, None, to_bytes(files[path] or "", None)))
                # A bare file's outer blank lines are not its own.
                bare = shape == "bare"
                meant[path] = (
                    re.sub(r"(?:\n[ \t]*)+\Z", "\n", reply.meant) if bare else reply.meant
                ).encode()
                checks[path] = f"\n{row['test']}\ncheck({row['entry_point']})\n"
        await space.apply(changes)
        for path, data in meant.items():
            if (folder / path).read_bytes() != data:
                outcome.problems.append(f"{path} is not what was meant")
    outcome.shapes = len(kinds)
    (folder / "checks.json").write_text(json.dumps(checks))
    (folder / "runner.py").write_text(RUNNER)
    limits = Limits(wall_seconds=900, cpu_seconds=600)
    result = await sandbox.run([sys.executable, "-I", "runner.py"], folder=folder, limits=limits)
    *failed, last = result.output.strip().splitlines() or [""]
    outcome.problems += failed
    outcome.level = result.level
    if last.startswith("passed "):
        outcome.passed = int(last.split()[1])
    else:
        outcome.problems.append(f"the checks did not run: exit code {result.exit_code}: {last}")
    return outcome
