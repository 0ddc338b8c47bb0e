"""Programs that are almost right: a flipped operator, a dropped line, a stub; each run to see that it really fails."""

from __future__ import annotations

import io
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

FLIPS = {
    "==": "!=", "!=": "==", "<": ">=", ">": "<=", "<=": ">", ">=": "<", "+": "-", "-": "+", "*": "+", "//": "*",
    "%": "//", "and": "or", "or": "and", "True": "False", "False": "True", "in": "not in", "+=": "-=",
}  # fmt: skip
#: A mutant that runs longer than this (seconds) counts as one that does not fail in a useful way.
PATIENCE = 30.0


def candidates(solution: str, stub: str, seed: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of changed programs that Python can still compile, kinds mixed by the luck of ``seed``."""
    chance = random.Random(seed)
    kinds = {
        "operator": list(_flipped(solution)),
        "number": list(_renumbered(solution)),
        "dropped": list(_dropped(solution)),
        "stub": [stub] if stub.strip() else [],
        "broken import": ["import no_such_module_anywhere\n" + solution],
        "syntax": [solution.replace(":\n", "\n", 1)],
    }
    for texts in kinds.values():
        chance.shuffle(texts)
    order = list(kinds)
    chance.shuffle(order)
    while any(kinds.values()):
        for kind in order:
            if kinds[kind]:
                text = kinds[kind].pop()
                if text != solution and _compiles(text) == (kind != "syntax"):
                    yield kind, text if text.endswith("\n") else text + "\n"


def failing(
    solution: str,
    stub: str,
    files: Mapping[str, str],
    path: str,
    tests: list[str],
    *,
    seed: str,
    number: int,
    verify: bool = True,
) -> list[tuple[str, str]]:
    """The first ``number`` mutants that the tests really refuse, with their kinds; not ``verify``: the first at all."""
    found: list[tuple[str, str]] = []
    for tries, (kind, text) in enumerate(candidates(solution, stub, seed)):
        if len(found) == number or tries == 40:
            break
        if not verify or run_bare({**files, path: text}, tests)[0] is False:
            found.append((kind, text))
    if len(found) < number:
        raise RuntimeError(f"{seed}: only {len(found)} of {number} mutants fail the tests")
    return found


def run_bare(
    files: Mapping[str, str], tests: list[str], *, patience: float = PATIENCE
) -> tuple[bool | None, float]:
    """Run the tests with nothing around them: whether they passed (None = too slow), and the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="bare-") as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8", newline="")
        began = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
                cwd=folder,
                env={"PATH": os.environ.get("PATH", ""), "HOME": folder, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                timeout=patience,
                preexec_fn=_limit_memory,
            )
        except subprocess.TimeoutExpired:
            return None, time.monotonic() - began
        return done.returncode == 0, time.monotonic() - began


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 * 1024**3, 2 * 1024**3))


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(text).readline))


def _with(text: str, token: tokenize.TokenInfo, new: str) -> str:
    lines = text.splitlines(keepends=True)
    row, column = token.start
    line = lines[row - 1]
    lines[row - 1] = line[:column] + new + line[token.end[1] :]
    return "".join(lines)


def _flipped(text: str) -> Iterator[str]:
    for token in _tokens(text):
        if token.type in (tokenize.OP, tokenize.NAME) and token.string in FLIPS:
            yield _with(text, token, FLIPS[token.string])


def _renumbered(text: str) -> Iterator[str]:
    for token in _tokens(text):
        if token.type == tokenize.NUMBER and token.string.isdigit():
            yield _with(text, token, str(int(token.string) + 1))


def _dropped(text: str) -> Iterator[str]:
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if line.strip() and not line.rstrip().endswith(":") and not line.lstrip().startswith(("#", '"', "'")):
            indent = line[: len(line) - len(line.lstrip())]
            yield "".join([*lines[:index], f"{indent}pass\n", *lines[index + 1 :]])


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True
