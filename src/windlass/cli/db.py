"""``windlass db``: look after the database."""

from __future__ import annotations

import rich_click as click

from windlass.cli.common import console, with_app


@click.group()
def db() -> None:
    """Look after the database."""


@db.command("upgrade")
def upgrade() -> None:
    """Bring the database's schema up to date. This also happens by itself on first use."""
    from windlass.app import App

    async def work(app: App) -> str:
        done = app.database.upgrade()
        if not app.database.is_sqlite:
            from windlass.queue.jobs import prepare_queue

            with app.database.writing() as connection:
                prepare_queue(connection)
        before, after = done
        if before == after:
            return f"{app.database.label} is up to date (schema {after})."
        return f"{app.database.label} was brought from {before or 'nothing'} to schema {after}."

    console().print(with_app(work), soft_wrap=True)


@db.command("copy")
@click.argument("source", metavar="SOURCE_URL")
@click.argument("target", metavar="TARGET_URL")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def copy(source: str, target: str, as_json: bool) -> None:
    """Copy prompts, runs, their journals and contents from one database to another.

    \b
    windlass db copy sqlite:///windlass.db postgresql://user@host/windlass

    A copy that was interrupted is simply run again. Refused when the target holds other content under the same name.
    """
    from windlass.cli.common import print_json
    from windlass.store.base import Database
    from windlass.store.copy import copy_database

    come, go = Database(source), Database(target)
    if come.file is not None and not come.file.exists():
        from windlass.errors import InputError

        raise InputError(f"There is no database file {come.file}.")
    out = console()
    shown: dict[str, int] = {}

    def say(table: str, done: int, total: int) -> None:
        if not as_json and (done == total or done - shown.get(table, 0) >= 20_000):
            shown[table] = done
            out.print(f"{table}: {done:,} of {total:,}")

    try:
        copied = copy_database(come, go, say=say)
    finally:
        come.close()
        go.close()
    if as_json:
        print_json([{"table": c.table, "rows": c.rows, "added": c.added} for c in copied])
        return
    added, there = sum(c.added for c in copied), sum(c.there for c in copied)
    out.print(
        f"{added:,} rows copied, {there:,} were there already; the counts of all {len(copied)} tables agree."
    )
