"""From a request to a run: what is refused before anything is spent, and where the run works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from windlass.app import App
from windlass.errors import ArgumentError, InputError, UnsafePath, WindlassError
from windlass.inputs import MAX_REQUIREMENT
from windlass.journal import RunRecord
from windlass.web.crew import SERVER, STARTED_BY
from windlass.web.forms import FORMS, Field, Form, forms
from windlass.workspace.names import check_path


async def create(
    app: App,
    roots: Sequence[Path],
    *,
    workflow: str,
    prompt: str,
    options: Mapping[str, Any],
    workspace: str | None,
    files: Sequence[str],
) -> RunRecord:
    """A new run, not begun. InputError says in one sentence what cannot be used."""
    known = forms()
    if workflow not in known:
        raise InputError(f"No workflow is called {workflow!r}; known: {', '.join(known)}.")
    form = known[workflow]
    _check_prompt(prompt, form.prompt)
    given = dict(options)
    if files:
        given["files"] = [*given.get("files", []), *files]
    checked = _checked(given, form)
    folder, new = place(workspace, roots, prompt, new_folder=form.new_folder)
    record_options = {form.prompt: prompt, **checked, STARTED_BY: SERVER}
    if new:
        _make(folder)
    try:
        return await app.create_run(workflow, prompt, str(folder), record_options)
    except WindlassError:
        if new:
            folder.rmdir()
        raise


def _check_prompt(prompt: str, what: str) -> None:
    if not prompt.strip():
        raise ArgumentError(f"The {what} is empty; say what you want.")
    if len(prompt) > MAX_REQUIREMENT:
        raise ArgumentError(
            f"The {what} has {len(prompt):,} characters; at most {MAX_REQUIREMENT:,} can be sent to a model."
        )


def _checked(given: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """The options as a run keeps them."""
    fields = {field.name: field for field in form.fields}
    unknown = [name for name in given if name not in fields]
    if unknown:
        raise ArgumentError(f"No option is called {unknown[0]!r}; known: {', '.join(fields)}.")
    checked: dict[str, Any] = {}
    for name, field in fields.items():
        value = given.get(name)
        if value is None or value == "":
            value = field.default
        checked[name] = value if value is None else _value(field, value)
    if checked.pop("approve_writes", False):
        checked["approve"] = ["writes"]
    if checked.get("budget") is not None:
        checked["budget"] = money(checked["budget"])
    if checked.get("test_command"):
        try:
            checked["test_command"] = shlex.split(checked["test_command"])
        except ValueError as error:
            raise ArgumentError(f"The test command cannot be read: {error}.") from None
    return {name: value for name, value in checked.items() if value is not None}


def _value(field: Field, value: Any) -> Any:
    match field.type:
        case "bool" if isinstance(value, bool):
            return value
        case "text" if isinstance(value, str) and len(value) <= 1000:
            return value
        case "choice" if value in (field.choices or ()):
            return value
        case "number" if field.name == "budget" and not isinstance(value, bool):
            return value
        case "number" if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000:
            return value
        case "object" if isinstance(value, dict) and len(value) <= 100:
            return value
        case "list" if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        case "files" if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return [_file(name) for name in dict.fromkeys(value)]
    raise ArgumentError(f"The option {field.name!r} takes {_TYPES[field.type]}.")


_TYPES = {
    "bool": "true or false",
    "text": "a text of at most 1,000 characters",
    "choice": "one of its choices",
    "number": "a whole number from 0 to 1,000",
    "files": "a list of file names",
    "list": "a list of texts",
    "object": "an object",
}


def _file(name: str) -> str:
    try:
        return check_path(name)
    except UnsafePath as error:
        raise ArgumentError(str(error)) from None


def money(value: Any) -> str:
    """An amount of USD as a run keeps it. Raises ArgumentError."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount <= 0:
        raise ArgumentError("A budget is an amount of USD above 0, such as 0.50.")
    return str(amount)


def place(workspace: str | None, roots: Sequence[Path], title: str, *, new_folder: bool) -> tuple[Path, bool]:
    """The workspace's folder, and whether it must be made. It lies in one of the roots; without a name it is the
    first of them, or a new one there, named after the title."""
    if workspace is None or not workspace.strip():
        return (_new_folder(roots[0], title), True) if new_folder else (roots[0], False)
    if "\0" in workspace or len(workspace) > 4000:
        raise ArgumentError("That is no name of a folder.")
    folder = (roots[0] / Path(workspace).expanduser()).resolve()
    if not any(folder.is_relative_to(root) for root in roots):
        allowed = ", ".join(str(root) for root in roots)
        raise ArgumentError(f"The workspace must be in a folder that this server may use: {allowed}.")
    if not folder.is_dir():
        raise ArgumentError(
            f"There is no folder {folder}; make it first, or leave the workspace out for a new one."
        )
    return folder, False


def _new_folder(root: Path, title: str) -> Path:
    words = re.findall(r"[a-z0-9]+", title.lower())[:5]
    base = "-".join(words)[:40].strip("-") or "windlass-run"
    folder, number = root / base, 1
    while folder.exists():
        number += 1
        folder = root / f"{base}-{number}"
    return folder


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made: {error.strerror}.") from None


def command_text(record: RunRecord) -> str:
    """The command line that starts the same work again."""
    options = record.options
    form = FORMS.get(record.workflow)
    words = ["windlass", "run", record.workflow]
    if form is not None:
        words.append(str(options.get(form.prompt, "")))
    if record.workspace:
        words += ["--workspace", record.workspace]
    for flag, name in (("--file", "files"), ("--tests", "tests")):
        for value in options.get(name) or ():
            words += [flag, value]
    for flag, name in (("--model", "model"), ("--fast-model", "fast_model"), ("--budget", "budget")):
        if options.get(name):
            words += [flag, str(options[name])]
    if options.get("max_repairs") not in (None, 3):
        words += ["--max-repairs", str(options["max_repairs"])]
    if options.get("test_command"):
        words += ["--test-command", shlex.join(options["test_command"])]
    words += [word for what in options.get("approve") or () for word in ("--approve", what)]
    words += ["--allow-unknown-price"] if options.get("allow_unknown_price") else []
    words += ["--yes"] if options.get("yes") else []
    return shlex.join(words)
