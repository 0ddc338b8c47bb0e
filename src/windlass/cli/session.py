"""One run at the terminal: draw first, load the engine behind it, run, and say how it ended."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.cli.root import fail
from windlass.cli.view import Outline, RunView, make_view
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from windlass.app import App

#: Exit codes by the run's status.
EXIT_CODES = {"Success": 0, "Failure": 1, "Waiting": 3, "Started": 130, "Pending": 130, "Cancelled": 130}


@dataclass(frozen=True)
class Output:
    """How a command talks: for people, one JSON object, or only the outcome."""

    as_json: bool = False
    quiet: bool = False


def start_run(
    workflow: str,
    title: str,
    workspace: str,
    options: Mapping[str, Any],
    output: Output,
    *,
    new_folder: bool = False,
    outline: Outline = (),
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Create a run, follow it to its end and exit with its code."""
    view = make_view(output.as_json, output.quiet, title, outline)

    async def prepare(app: App) -> str:
        app.check_models(options)
        folder = Path(workspace)
        if new_folder:
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise WindlassError(f"The folder {folder} cannot be made: {error.strerror}.") from None
        try:
            # A folder that stays empty goes again; a run that is resumed makes it anew.
            record = await app.create_run(workflow, title, workspace, {**options, "new_folder": new_folder})
            await app.workspace(record)
        except WindlassError:
            if new_folder:
                folder.rmdir()
            raise
        return record.run_id

    _follow(
        prepare,
        view,
        output,
        settings,
        made=Path(workspace) if new_folder else None,
    )


def resume_run(
    run_id: str, output: Output, *, assume_yes: bool, changes: Mapping[str, Any], outline: Outline = ()
) -> None:
    """Go on with a run, follow it to its end and exit with its code."""
    view = make_view(output.as_json, output.quiet, f"Run {run_id}", outline)

    async def prepare(app: App) -> str:
        return await app.prepare_resume(run_id, assume_yes=assume_yes, changes=changes)

    _follow(prepare, view, output, None)


def _follow(
    prepare: Any,
    view: RunView,
    output: Output,
    settings: Mapping[str, Any] | None,
    made: Path | None = None,
) -> None:
    view.start()
    failure: WindlassError | None = None
    result: dict[str, Any] | None = None
    try:
        result = asyncio.run(_session(prepare, view, settings or {}))
    except WindlassError as error:
        failure = error
    except asyncio.CancelledError:
        failure = None
    finally:
        view.stop()
        if made is not None:
            _remove_if_empty(made)
    if failure is not None:
        if output.as_json:
            print(json.dumps({"run_id": view.run_id, "status": None, "error": str(failure)}))
        fail(str(failure), failure.exit_code)
    if result is None:
        sys.exit(130)
    if output.as_json:
        print(json.dumps(result, ensure_ascii=False, indent=None))
    else:
        view.outcome(result)
    sys.exit(EXIT_CODES.get(result["status"], 1))


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Not empty: the run wrote something; or already gone.
        return


async def _session(prepare: Any, view: RunView, settings: Mapping[str, Any]) -> dict[str, Any]:
    # Imported here, behind the picture: a second of imports must not be a second of blank screen.
    from windlass.app import App
    from windlass.effects import StopSignal
    from windlass.report import run_report
    from windlass.settings import load_settings

    app = App(load_settings(**settings))
    stop = StopSignal()
    try:
        run_id = await prepare(app)
        view.run_id = run_id
        task = asyncio.ensure_future(
            app.execute(
                run_id,
                listeners=[view.on_event],
                ask_person=view.ask_person if view.interactive else None,
                stop=stop,
                stream=view.watched,
            )
        )
        _install_signals(task, stop, view)
        try:
            await task
        except asyncio.CancelledError:
            view.note("Stopped at once; what had come of the running reply was kept.")
        return await run_report(app.journal, run_id)
    finally:
        await app.close()


def _install_signals(task: asyncio.Future[Any], stop: Any, view: RunView) -> None:
    """The first signal lets calls under way finish and be kept; the second cuts them off."""

    def on_signal() -> None:
        if view.leave_question():
            return
        if stop.requested:
            task.cancel()
            return
        stop.requested = True
        view.note("Stopping: replies under way are waited for and kept. Once more stops at once.")

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
