"""``windlass doctor``: is everything here that a run needs?"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from windlass.cli.common import console, json_list_option, print_json, with_app
from windlass.cli.root import safe

if TYPE_CHECKING:
    from windlass.app import App

#: Less free space than this (bytes) is reported.
LOW_DISK = 500 * 1024**2


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``ok`` None = it works, but something should be known."""

    name: str
    ok: bool | None
    detail: str


@click.command("doctor")
@json_list_option
def doctor(as_json: bool) -> None:
    """Check the database, the sandbox, the models and the disk. Exit code 1 when something is broken.

    Nothing is sent over the network.
    """
    checks = with_app(_checks)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        from rich.text import Text

        out = console()
        for check in checks:
            mark, style = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("!", "yellow")}[check.ok]
            out.print(
                Text.assemble((f"{mark} ", style), (f"{check.name:<11}", "bold"), safe(check.detail)),
                soft_wrap=True,
            )
    sys.exit(1 if any(check.ok is False for check in checks) else 0)


async def _checks(app: App) -> list[Check]:
    database = _database(app)
    runs = await _runs(app) if all(check.ok is not False for check in database) else []
    return [*database, *runs, *_sandbox(app), *_models(app), *_disk(app)]


def _database(app: App) -> list[Check]:
    from windlass.errors import StoreError

    try:
        app.database.engine  # noqa: B018 - opening it is the check
        revision = app.database.current_revision()
    except StoreError as error:
        return [Check("database", False, str(error))]
    return [Check("database", True, f"{app.database.label} (schema {revision})")]


async def _runs(app: App) -> list[Check]:
    number = len(await app.interrupted())
    if not number:
        return [Check("runs", True, "none was interrupted")]
    told = "1 was" if number == 1 else f"{number} were"
    return [Check("runs", None, f"{told} interrupted; go on with: windlass resume --all")]


def _sandbox(app: App) -> list[Check]:
    from windlass.sandbox import probe

    results = probe()
    works = [r for r in results if r.works]
    checks = [
        Check(r.level, True if r.works else None, f"{r.version or ''} {r.why or ''}".strip() or "works")
        for r in results
    ]
    setting = app.settings.sandbox
    if setting == "off":
        checks.append(
            Check("sandbox", None, "switched off by the settings: model-written tests run unprotected")
        )
    elif works:
        used = setting if setting != "auto" else works[0].level
        checks.append(Check("sandbox", any(r.level == used for r in works), f"tests run in {used}"))
    else:
        checks.append(Check("sandbox", False, "none works here, so no tests will be run; install bubblewrap"))
    return checks


def _models(app: App) -> list[Check]:
    from windlass.llm.catalog import describe
    from windlass.wiring import NO_MODEL, model_configs, roles

    settings = app.settings
    used = roles(settings.model, settings.fast_model, settings.judge_model)
    found = describe(used, model_configs(settings), env=settings.environment, numbers=False)
    if not used:
        return [Check("models", None, NO_MODEL)]
    return [
        Check(
            "model",
            None if m.missing else True,
            f"{m.name} ({', '.join(m.roles) or 'alias'}): {' '.join(m.missing) or 'ready'}",
        )
        for m in found
    ]


def _disk(app: App) -> list[Check]:
    folder = app.settings.data_dir
    while not folder.exists():
        folder = folder.parent
    # Tests run on copies in the temporary folder, often another file system.
    places = dict.fromkeys([folder, Path(tempfile.gettempdir())])
    return [
        Check("disk", free > LOW_DISK, f"{free / 1024**3:.1f} GiB free at {place}")
        for place in places
        for free in [shutil.disk_usage(place).free]
    ]
