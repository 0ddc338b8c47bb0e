"""One run at the terminal: draw first, load the engine behind it, run, and say how it ended."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from windlass.cli.output import going_on_unwatched, json_text
from windlass.cli.root import fail
from windlass.cli.view import LineView, Outline, RunView, make_view
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from rich.console import Console

    from windlass.app import App

    #: Makes a run ready with the process's parts; its id.
    Prepare = Callable[[App], Awaitable[str]]

#: Where the ``--log-file`` option leaves its value.
LOG_FILE = "windlass.log_file"

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
    """Create a run, follow it to its end and exit with its code; with ``--enqueue`` only queue it."""
    from windlass.cli.enqueue import asked_place, enqueue_run

    place = asked_place()
    if place is not None:
        enqueue_run(workflow, title, workspace, options, output, place, new_folder=new_folder)
        return
    view = make_view(output.as_json, output.quiet, title, outline)

    async def prepare(app: App) -> str:
        # Everything is checked before there is a run. A folder that stays empty goes again; a run that is resumed
        # makes it anew.
        record = await app.new_record(workflow, title, workspace, {**options, "new_folder": new_folder})
        app.check_models(record.options)
        folder = Path(workspace)
        if new_folder:
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise WindlassError(f"The folder {folder} cannot be made: {error.strerror}.") from None
        try:
            if not (output.as_json or output.quiet):
                cost = await app.estimate(workflow, record.options)
                if cost is not None:
                    view.note(cost)
            await app.keep(record)
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

    async def prepare(app: App) -> str:
        return await app.prepare_resume(run_id, assume_yes=assume_yes, changes=changes)

    _follow_known(prepare, output, outline)


def follow(prepare: Prepare, title: str | None, output: Output) -> None:
    """Run what ``prepare`` makes ready, follow it to its end and exit with its code. ``title`` None: the run's own."""
    if title is None:
        _follow_known(prepare, output, ())
    else:
        _follow(prepare, make_view(output.as_json, output.quiet, title, ()), output, None)


def _follow_known(prepare: Prepare, output: Output, outline: Outline) -> None:
    """Follow a run that has its title already: a picture gets it as soon as it is read, lines begin with it."""
    view = make_view(output.as_json, output.quiet, "Run", outline)
    if isinstance(view, LineView):
        view.title = ""

    async def named(app: App) -> str:
        run_id = await prepare(app)
        view.title = (await app.journal.get_run(run_id)).title
        if isinstance(view, LineView):
            view.start()
        return run_id

    _follow(named, view, output, None)


@going_on_unwatched()
def resume_all(output: Output, *, assume_yes: bool) -> None:
    """Go on with every interrupted run, one after the other, and exit with the worst of their codes."""
    from windlass.cli.common import print_json, with_app
    from windlass.errors import RunOwnedElsewhere
    from windlass.owners import is_interrupted

    runs = with_app(lambda app: app.interrupted())
    results: list[dict[str, Any]] = []
    worst = 0
    for record in runs:
        view = make_view(output.as_json, output.quiet, record.title, ())

        async def prepare(app: App, run_id: str = record.run_id) -> str:
            if not is_interrupted(await app.journal.get_run(run_id)):
                raise RunOwnedElsewhere(f"Run {run_id} is no longer interrupted.")
            return await app.prepare_resume(run_id, assume_yes=assume_yes)

        result, failure = _watch(prepare, view, {}, None, offer=False)
        if isinstance(failure, RunOwnedElsewhere):
            # Somebody else goes on with them all too.
            if not output.as_json:
                view.note(f"Run {record.run_id} was taken up or ended by another process; it is left alone.")
            continue
        if failure is not None:
            # One run that cannot go on must not keep the others from it.
            result = {"run_id": record.run_id, "status": None, "error": str(failure)}
            if not output.as_json:
                view.note(str(failure))
        elif result is not None and not output.as_json:
            view.outcome(result)
        code = 130 if result is None else EXIT_CODES.get(result["status"] or "Failure", 1)
        worst = max(worst, code)
        if result is not None:
            results.append(result)
        if code == 130:
            break
    if output.as_json:
        print_json(results)
    elif not runs:
        make_view(False, output.quiet, "", ()).console.print("No run was interrupted.")
    sys.exit(worst)


@going_on_unwatched()
def _follow(
    prepare: Prepare,
    view: RunView,
    output: Output,
    settings: Mapping[str, Any] | None,
    made: Path | None = None,
) -> None:
    result, failure = _watch(prepare, view, settings or {}, made, offer=not (output.as_json or output.quiet))
    if failure is not None:
        if output.as_json:
            print(json.dumps({"run_id": view.run_id, "status": None, "error": str(failure)}))
        fail(str(failure), failure.exit_code)
    if result is None:
        sys.exit(130)
    if output.as_json:
        print(json_text(result))
    else:
        view.outcome(result)
        offer_interrupted(view.console, view.interrupted)
    sys.exit(EXIT_CODES.get(result["status"], 1))


def _watch(
    prepare: Prepare, view: RunView, settings: Mapping[str, Any], made: Path | None, *, offer: bool
) -> tuple[dict[str, Any] | None, WindlassError | None]:
    """What came of it: the run's report, or the error that kept it from running; neither when it was broken off."""
    if view.title:
        view.start()
    try:
        return asyncio.run(_session(prepare, view, settings, offer=offer)), None
    except WindlassError as error:
        return None, error
    except asyncio.CancelledError:
        return None, None
    finally:
        view.stop()
        if made is not None:
            _remove_if_empty(made)


def offer_interrupted(console: Console, number: int) -> None:
    """One dim line on a terminal when runs could go on."""
    if number and console.is_terminal:
        told = "1 run was" if number == 1 else f"{number} runs were"
        console.print(f"{told} interrupted: windlass resume --all", style="dim")


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Not empty: the run wrote something; or already gone.
        return


def _log_option() -> dict[str, Any]:
    context = click.get_current_context(silent=True)
    log = None if context is None else context.meta.get(LOG_FILE)
    return {} if log is None else {"log": log}


async def _session(
    prepare: Prepare, view: RunView, settings: Mapping[str, Any], *, offer: bool
) -> dict[str, Any]:
    # Imported here, behind the picture: a second of imports must not be a second of blank screen.
    from windlass.app import App
    from windlass.people import StopSignal
    from windlass.report import run_report
    from windlass.settings import load_settings

    app = App(load_settings(**settings, **_log_option()))
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
        if offer and view.console.is_terminal:
            view.interrupted = sum(record.run_id != run_id for record in await app.interrupted())
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
