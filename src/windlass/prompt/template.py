"""Prompt templates: strict ``{{name}}`` placeholders, filled in one pass.

Only ``{{name}}`` with an identifier (letters, digits, ``_``; not starting with a digit; spaces inside the
braces allowed) is a placeholder. Every other brace is plain text, so code and JSON need no escaping.
To have the text ``{{name}}`` itself in a prompt, write ``{{!name}}``; ``{{!!name}}`` gives ``{{!name}}``.
A value is put in as it is: placeholders inside it mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from windlass.errors import TemplateError

# One token, so that no part of a match is looked at twice.
_TOKEN = re.compile(
    r"\{\{[ \t]*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|!(?P<literal>!*[A-Za-z_][A-Za-z0-9_]*))[ \t]*\}\}"
)


class VariableSource(Enum):
    """Where a variable's value comes from."""

    #: Put together by the workflow: code, earlier results, file contents.
    DYNAMIC = "DYNAMIC"
    #: Typed by the person who starts the run. A version of the prompt may not drop it.
    USER_INPUT = "USER_INPUT"


@dataclass(eq=False)
class PromptTemplateVariable:
    """A named hole in a template and, once set, its value.

    ``allow_code_context_building`` lets the workflow add code from the workspace to the value;
    ``allow_llm_refinement`` lets a model reword it before it is used.
    """

    name: str
    source: VariableSource = VariableSource.DYNAMIC
    allow_code_context_building: bool = False
    allow_llm_refinement: bool = False
    _value: str | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or not self.name.isascii():
            raise TemplateError(f"{self.name!r} cannot name a prompt variable: use letters, digits and '_'.")

    def set_value(self, value: str) -> None:
        """Set the value that :meth:`PromptTemplate.fill` uses when it is given none."""
        self._value = value

    def get_value(self) -> str:
        """The value. ValueError when none was set."""
        if self._value is None:
            raise ValueError(f"Prompt variable {self.name!r} has no value yet; call set_value() first.")
        return self._value

    @property
    def has_value(self) -> bool:
        """Whether :meth:`get_value` would succeed."""
        return self._value is not None

    def to_dict(self) -> dict[str, Any]:
        """JSON for a person or a user interface."""
        return {
            "name": self.name,
            "source": self.source.name,
            "allow_code_context_building": self.allow_code_context_building,
            "allow_llm_refinement": self.allow_llm_refinement,
            "value": self._value,
        }


class PromptTemplate:
    """A text with placeholders and what is known about them.

    ``variables`` need not name every placeholder. A declared variable may be absent from the text: a
    value given for it is then left out, where a value for a name nobody knows is an error.
    """

    def __init__(self, template: str, variables: Iterable[PromptTemplateVariable] = ()) -> None:
        self.template = template
        self.variables = tuple(variables)
        names = [variable.name for variable in self.variables]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TemplateError(f"Prompt variables declared twice: {_listed(twice)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The placeholders of the text, each once, in the order they first appear."""
        return placeholders(self.template)

    def fill(self, values: Mapping[str, Any] | None = None) -> str:
        """The text with every placeholder replaced by its value.

        Values given here win over values set on the variables; a value that is no string is put in as
        ``str(value)`` and None counts as missing. TemplateError, naming them, when a placeholder has no
        value or a value has neither placeholder nor declared variable.
        """
        known = {variable.name: variable.get_value() for variable in self.variables if variable.has_value}
        given = {name: str(value) for name, value in (values or {}).items() if value is not None}
        literals, names = _parse(self.template)
        declared = {variable.name for variable in self.variables}
        if unknown := [name for name in (values or {}) if name not in declared and name not in names]:
            raise TemplateError(
                f"The prompt has no variable {_listed(unknown)}; "
                f"it knows {_listed(sorted({*names, *declared})) or 'none'}."
            )
        known.update(given)
        if missing := [name for name in dict.fromkeys(names) if name not in known]:
            raise TemplateError(f"The prompt needs a value for {_listed(missing)}.")
        parts = [literals[0]]
        for name, literal in zip(names, literals[1:], strict=True):
            parts += (known[name], literal)
        return "".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """JSON for a person or a user interface."""
        return {"template": self.template, "variables": [variable.to_dict() for variable in self.variables]}

    def __repr__(self) -> str:
        return f"PromptTemplate({self.template[:40]!r}, names={self.names})"


def placeholders(template: str) -> tuple[str, ...]:
    """The variable names a template uses, each once, in the order they first appear."""
    return tuple(dict.fromkeys(_parse(template)[1]))


@lru_cache(maxsize=256)
def _parse(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The literal pieces and the names between them: one piece more than names."""
    literals, names, piece, at = [], [], [], 0
    for match in _TOKEN.finditer(template):
        piece.append(template[at : match.start()])
        at = match.end()
        if match["name"] is None:
            piece.append(template[match.start() : at].replace("!", "", 1))
        else:
            literals.append("".join(piece))
            names.append(match["name"])
            piece = []
    literals.append("".join(piece) + template[at:])
    return tuple(literals), tuple(names)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
