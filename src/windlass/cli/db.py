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
