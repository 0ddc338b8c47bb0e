"""Cases: tasks that a prompt's versions are tried on, read from JSONL files and split for a search.

What a case's entries mean, and how an answer is judged, is the caller's.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from windlass.errors import InputError
from windlass.ids import sha256_hex

Verdict = Literal["pass", "fail", "error"]


@dataclass(frozen=True)
class Case:
    """One task with what is needed to judge the answer; ``data`` means something to ``run_case`` only."""

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseResult:
    """How a version did on a case. ``error`` is infrastructure and says nothing about the prompt.

    ``cost_micro`` is millionths of a USD, None when no price is known; ``detail`` is for a person, and for
    the optimiser to learn from.
    """

    outcome: Verdict
    cost_micro: int | None = None
    detail: str | None = None


RunCase = Callable[[str, Case], Awaitable[CaseResult]]


def load_cases(file: Path) -> list[Case]:
    """The cases of a JSONL file: an object a line, its ``id`` entry or else the line's number as the id."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{file} is no UTF-8 text.") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.") from error
    cases: dict[str, Case] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except ValueError as error:
            raise InputError(f"Line {number} of {file} is not JSON: {error}.") from None
        if not isinstance(data, dict):
            raise InputError(f"Line {number} of {file} must be a JSON object.")
        id = str(data.get("id", number))
        if id in cases or not id or len(id) > 200:
            raise InputError(f"Line {number} of {file}: the id {id[:40]!r} is used twice, empty or too long.")
        cases[id] = Case(id, data)
    if not cases:
        raise InputError(f"{file} holds no cases.")
    return list(cases.values())


def hold_out(cases: Sequence[Case], *, share: float = 0.5, seed: int = 0) -> tuple[list[Case], list[Case]]:
    """Split cases into those to learn from and those to be judged by, the same way every time.

    ``share`` is the part that is held out; both parts get at least one case.
    """
    if len(cases) < 2:
        raise InputError("At least two cases are needed: some to learn from, some to be judged by.")
    ordered = sorted(cases, key=lambda case: sha256_hex(f"{seed}\0{case.id}"))
    held = min(max(round(len(cases) * share), 1), len(cases) - 1)
    return ordered[held:], ordered[:held]


def fingerprint(case: Case) -> str:
    """A hash of what the case asks and wants, whatever its id."""
    asked = {key: value for key, value in case.data.items() if key != "id"}
    return sha256_hex(json.dumps(asked, sort_keys=True, default=str))


def cases_digest(cases: Sequence[Case]) -> str:
    """A hash of the cases in their order: results belong to exactly these."""
    return sha256_hex(json.dumps([[case.id, dict(case.data)] for case in cases], sort_keys=True, default=str))
