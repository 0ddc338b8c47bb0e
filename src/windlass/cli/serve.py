"""``windlass serve``: the server and its page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import rich_click as click

from windlass.cli.common import console
from windlass.errors import InputError
from windlass.extras import missing_extra

if TYPE_CHECKING:
    from windlass.settings import Settings
    from windlass.web.server import ServerOptions


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="Where to listen. [default: 127.0.0.1, this machine only]")
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="Which port. [default: 8765]")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    help="A name besides localhost by which it may be called; may be repeated.",
)
@click.option(
    "--root",
    "roots",
    metavar="DIR",
    multiple=True,
    help="Where runs may work; may be repeated. [default: this folder]",
)
@click.option(
    "--runs", "places", type=click.IntRange(1, 1000), metavar="N", help="Runs at a time. [default: 4]"
)
@click.option("--no-resume", is_flag=True, help="Leave alone the runs that an earlier server did not finish.")
@click.option("--link", "link_only", is_flag=True, help="Only print a new link to a server that is running.")
def serve(
    host: str | None,
    port: int | None,
    open_page: bool,
    allowed_hosts: tuple[str, ...],
    roots: tuple[str, ...],
    places: int | None,
    no_resume: bool,
    link_only: bool,
) -> None:
    """Start the server, and print a link to its page. The link works once; then the browser is known.

    \b
    windlass serve --open
    windlass serve --port 9000 --root ~/projects

    Stop it with Ctrl-C: model calls under way finish, and the runs go on at the next start.
    """
    from pathlib import Path

    from windlass.settings import load_settings

    settings = load_settings()
    if link_only:
        print(_new_link(settings, port or settings.server.port))
        return
    try:
        from windlass.web.server import ServerOptions
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in (
            "fastapi",
            "socketio",
            "engineio",
            "uvicorn",
            "starlette",
        ):
            raise missing_extra("The server", "server") from None
        raise
    folders = tuple(Path(root).expanduser().resolve() for root in roots) or (Path.cwd(),)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder} (given with --root).")
    options = ServerOptions(
        host=host or settings.server.host,
        port=port or settings.server.port,
        token=settings.server.token,
        allowed_hosts=(*settings.server.allowed_hosts, *allowed_hosts),
        roots=folders,
        places=places or settings.server.runs,
        take_up=not no_resume,
    )
    _serve(settings, options, open_page)


def _serve(settings: Settings, options: ServerOptions, open_page: bool) -> None:
    import asyncio

    from windlass.app import App
    from windlass.web.process import Process, check_options, open_socket, token_file
    from windlass.web.server import WebServer

    check_options(options)
    listener = open_socket(options.host, options.port)
    app = App(settings)
    server = WebServer(app, options)
    # A database that cannot be used is said in one sentence, before anything is promised.
    _ = app.database.engine
    process = Process(server)
    out = console()

    async def work() -> None:
        try:
            await process.serve([listener])
        finally:
            await app.close()

    with token_file(settings.data_dir, server) as file:
        link = server.launch_url()
        out.print(f"Windlass is at {server.services.url}", markup=False)
        out.print(f"Open it with this link (works once): {link}", markup=False, soft_wrap=True)
        out.print(f"For programs: the token is in {file}", markup=False, soft_wrap=True)
        sys.stdout.flush()
        if open_page:
            process.when_started = lambda: click.launch(link)
        asyncio.run(work())
    if process.failed:
        sys.exit(1)


def _new_link(settings: Settings, port: int) -> str:
    """A launch link from the server that runs on this port."""
    import json
    import urllib.error
    import urllib.request

    file = settings.data_dir / f"server-{port}.json"
    try:
        known = json.loads(file.read_text())
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/launch-links",
            data=b"{}",
            headers={"Authorization": f"Bearer {known['token']}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return str(json.load(answer)["url"])
    except FileNotFoundError:
        raise InputError(f"No server of yours runs on port {port}; start one with: windlass serve") from None
    except (urllib.error.URLError, TimeoutError):
        raise InputError(
            f"The server on port {port} does not answer; start it again with: windlass serve"
        ) from None
