"""``--enqueue``: make a run or a batch for workers in place of working on it here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from windlass.app import App
    from windlass.cli.session import Output
    from windlass.queue.jobs import Place

_META = "windlass.enqueue"


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None and value is not False:
        ctx.meta.setdefault(_META, {})[param.name] = value


def queue_options(command: Any) -> Any:
    """The options that leave the work to workers; what was given is looked up with :func:`asked_place`."""
    for option in reversed(
        [
            click.option(
                "--enqueue",
                is_flag=True,
                expose_value=False,
                callback=_keep,
                help="Only queue it, for windlass worker (PostgreSQL).",
            ),
            click.option(
                "--queue",
                metavar="NAME",
                expose_value=False,
                callback=_keep,
                help="With --enqueue: which queue. [default: runs]",
            ),
            click.option(
                "--priority",
                type=click.IntRange(-1000, 1000),
                expose_value=False,
                callback=_keep,
                help="With --enqueue: higher goes first. [default: 0]",
            ),
        ]
    ):
        command = option(command)
    return command


def asked_place() -> Place | None:
    """Where the command at hand is to queue its work; None: it works itself. InputError for --queue alone."""
    context = click.get_current_context(silent=True)
    given: dict[str, Any] = {} if context is None else context.meta.get(_META, {})
    if not given:
        return None
    from windlass.errors import InputError
    from windlass.queue.jobs import DEFAULT_QUEUE, Place

    if "enqueue" not in given:
        raise InputError("--queue and --priority go with --enqueue.")
    return Place(given.get("queue", DEFAULT_QUEUE), given.get("priority", 0))


def enqueue_run(
    workflow: str,
    title: str,
    workspace: str,
    options: Mapping[str, Any],
    output: Output,
    place: Place,
    *,
    new_folder: bool,
) -> None:
    """Queue a run, say its id, and leave the rest to workers."""
    from windlass.cli.common import console, with_app

    async def work(app: App) -> dict[str, Any]:
        from windlass.queue import require_queue, submit

        require_queue(app.database)
        app.check_models(options)
        made = await submit(app, workflow, title, workspace, {**options, "new_folder": new_folder}, place)
        return {
            "run_id": made.run_id,
            "status": made.status.value,
            "queue": place.queue,
            "workspace": workspace,
        }

    done = with_app(work)
    if output.as_json:
        print(json.dumps(done, ensure_ascii=False))
    elif output.quiet:
        print(done["run_id"])
    else:
        console().print(
            f"Run {done['run_id']} is queued in {place.queue}. Look at it with: windlass runs show {done['run_id']}"
        )
