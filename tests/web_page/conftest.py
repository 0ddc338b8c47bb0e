"""One browser for the package, a page a test; every test also fails on what no page of ours may do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.web.serving import Served
from tests.web_page.browser import ARGUMENTS, CHROMIUM
from tests.web_page.world import Model, world

#: Makes a page that is signed in; keyword arguments are the browser context's.
Opener = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is missing (apt-get install chromium)")
        pytest.skip(f"{CHROMIUM} is missing (apt-get install chromium)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield running
        running.close()


@pytest.fixture(scope="package")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Model]]:
    with world(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("root")) as made:
        yield made


@pytest.fixture
def served(_world: tuple[Served, Model]) -> Served:
    """The server of the package."""
    return _world[0]


@pytest.fixture
def model(_world: tuple[Served, Model]) -> Iterator[Model]:
    """Its model, at full speed again after the test."""
    yield _world[1]
    usual = Model()
    held, _world[1].hold = _world[1].hold, None
    if held is not None:
        held.set()
    _world[1].pace, _world[1].chunk, _world[1].chat = usual.pace, usual.chunk, usual.chat
    while _world[1].until:
        Path(_world[1].until.popitem()[1]).touch()


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """A program that knows the token."""
    with served.client() as one:
        yield one


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about."""
    return []


@pytest.fixture
def opener(browser: Browser, served: Served, complaints: list[str]) -> Iterator[Opener]:
    """Pages that are signed in. Afterwards: no console error, no broken CSP, no request to anyone else."""
    contexts: list[BrowserContext] = []

    def open_page(path: str = "/", *, signed_in: bool = True, **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda r: None if _own(r.url, served) else complaints.append(f"request to {r.url}")
        )
        page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.blockedURI))"
        )
        if signed_in:
            page.goto(served.web.launch_url())
            page.wait_for_selector("[data-connection=live]")
        if path != "/" or not signed_in:
            page.goto(served.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # Chromium itself logs each 400 and 409; what the server would not do is shown by the page and no fault of it.
    assert [line for line in complaints if "of 400 (" not in line and "of 409 (" not in line] == []


@pytest.fixture
def page(opener: Opener) -> Page:
    """A page that is signed in, at the list of runs."""
    return opener()


def _own(url: str, served: Served) -> bool:
    own = served.url.removeprefix("http://")
    return url.startswith((f"http://{own}/", f"ws://{own}/", "data:", "blob:"))
