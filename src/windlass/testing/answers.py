"""An answers file: what the separate test server says to which request."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from windlass.testing.protocol import Answer, Fault, Request


@dataclass
class Rule:
    """Answers requests whose step fits the glob ``step`` and whose text holds the regular expression ``pattern``.

    ``times`` is how often it may be used (None = always).
    """

    reply: Answer | Fault
    step: str | None = None
    pattern: re.Pattern[str] | None = None
    times: int | None = None

    def fits(self, request: Request) -> bool:
        """Whether the rule may answer now."""
        if self.times is not None and self.times <= 0:
            return False
        # '[' opens a character class in a glob, but is plain text in a step path such as repair[2].
        if self.step is not None and not fnmatchcase(request.step, self.step.replace("[", "[[]")):
            return False
        return self.pattern is None or self.pattern.search(request.text) is not None


@dataclass
class Answers:
    """Rules in order; the first that fits answers. A request that none fits gets status 404, which says so.

    The file::

        {"defaults": {"seconds_per_chunk": 0.01},
         "answers": [{"step": "design_step*", "text": "…", "times": 1},
                     {"match": "palindrome", "fault": {"kind": "status", "status": 429, "retry_after": "1"}},
                     {"text": "…"}]}

    ``defaults`` and the other keys of an answer are the fields of :class:`~windlass.testing.protocol.Answer`,
    ``fault`` has those of :class:`~windlass.testing.protocol.Fault`.
    """

    rules: Sequence[Rule] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Answers:
        """Read an answers file. Raises ValueError or KeyError on one that cannot be used."""
        data = json.loads(path.read_text(encoding="utf-8"))
        defaults = data.get("defaults", {})
        return cls([_rule(entry, defaults) for entry in data["answers"]])

    def __call__(self, request: Request) -> Answer | Fault:
        for rule in self.rules:
            if rule.fits(request):
                if rule.times is not None:
                    rule.times -= 1
                return rule.reply
        return Fault("status", status=404, message=f"no answer for step {request.step!r}", code="no_answer")


def _rule(entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> Rule:
    own = {key: value for key, value in entry.items() if key not in ("step", "match", "times", "fault")}
    answer = Answer(**{**defaults, **own})
    fault = entry.get("fault")
    pattern = entry.get("match")
    return Rule(
        reply=answer if fault is None else Fault(**{"answer": answer, **fault}),
        step=entry.get("step"),
        pattern=None if pattern is None else re.compile(pattern, re.DOTALL),
        times=entry.get("times"),
    )
