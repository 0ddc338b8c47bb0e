"""When tests were given: which files a model may not write, because they decide how the tests run.

A configuration that deselects the failing tests, a ``conftest.py`` that replaces what is tested or a module that
stands in the place of the standard library's would make a wrong program pass. What the person names with ``--file``
may be written all the same.
"""

from __future__ import annotations

import configparser
import sys
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from windlass.errors import ReplyError
from windlass.steps.context import CodingOptions

_STEERING_FILES = frozenset(
    [
        "conftest.py",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        "sitecustomize.py",
        "usercustomize.py",
    ]
)
#: Modules that pytest itself is made of.
_PYTEST = frozenset(
    ["pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py", "pytest_asyncio"]
)
#: Files with a part for pytest beside others: the tables or sections that belong to it.
_SHARED_FILES = {
    "pyproject.toml": "tool.pytest",
    "setup.cfg": "[tool:pytest]",
    "tox.ini": "[pytest]",
}


def steering(path: str, options: CodingOptions) -> str | None:
    """Why a file may not be written although nothing else forbids it; None where it may."""
    if not options.tests or path in options.files:
        return None
    name = path.rsplit("/", 1)[-1]
    if name in _STEERING_FILES or name.endswith(".pth"):
        return f"{path} may not be written: it decides how the given tests run."
    module = _module(path, options.tests)
    if module in _PYTEST:
        return f"{path} may not be written: it would stand in the place of a part of pytest."
    if module in sys.stdlib_module_names:
        return f"{path} may not be written: it would stand in the place of the standard library's {module}."
    return None


def refuse_steering(
    texts: Mapping[str, str | None], before: Mapping[str, str], options: CodingOptions
) -> None:
    """Raise ReplyError (unexpected_file) for a reply that changes how the given tests run.

    ``before`` = the present texts of the files that exist.
    """
    if not options.tests:
        return
    for path, text in texts.items():
        reason = steering(path, options) or _changed_part(path, text or "", before.get(path, ""), options)
        if reason is not None:
            raise ReplyError(
                "unexpected_file",
                reason,
                correction=f"{reason} Leave it as it is, and make the given tests pass with the other files.",
                path=path,
            )


def _module(path: str, tests: Sequence[str]) -> str | None:
    """The module that a file is for the tests, where it lies on a path they search; None for any other."""
    for folder in {"", "src", *(test.partition("::")[0].rpartition("/")[0] for test in tests)}:
        name = path.removeprefix(f"{folder}/") if folder else path
        stem, _, rest = name.partition("/" if "/" in name else ".")
        if rest in {"py", "__init__.py"} or ("/" not in name and rest.endswith(("so", "pyc"))):
            return stem
    return None


def _changed_part(path: str, text: str, before: str, options: CodingOptions) -> str | None:
    part = _SHARED_FILES.get(path.rsplit("/", 1)[-1])
    if part is None or path in options.files or _pytest_part(path, text) == _pytest_part(path, before):
        return None
    return f"The part of {path} for pytest ({part}) may not be changed: it decides how the given tests run."


def _pytest_part(path: str, text: str) -> Any:
    """What a configuration file says to pytest; the whole text where it cannot be read."""
    try:
        if path.endswith(".toml"):
            return tomllib.loads(text).get("tool", {}).get("pytest")
        parser = configparser.RawConfigParser()
        parser.read_string(text)
        return {name: dict(parser[name]) for name in ("pytest", "tool:pytest") if name in parser}
    except (ValueError, configparser.Error, AttributeError):
        return text
