"""Makes docs/screenshots anew: ``python -m tests.web_page.screenshots`` (needs Debian's Chromium). Look at them after."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.web.serving import Served
from tests.web_page.browser import ARGUMENTS, CHROMIUM
from tests.web_page.world import REQUIREMENT, Model, add_versions, failed, finished, start, world

TARGET = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def populate(served: Served, model: Model) -> dict[str, str]:
    """Runs in every state."""
    runs: dict[str, str] = {}
    with served.client() as client:
        runs["success"] = finished(client, REQUIREMENT, yes=True)
        add_versions(served)
        model.chat = "A lease with an epoch: every write carries it, and an older one is refused."
        runs["chat"] = finished(
            client, "How does a paused process learn that it lost its run?", "chat", yes=True
        )
        runs["waiting"] = finished(client, "Durations such as '1h30m', both ways (asks first)")
        runs["failed"] = failed(client)
        model.pace, model.chunk = 0.12, 9
        runs["running"] = start(
            client, "parse_duration and format_duration, with tests for every unit", yes=True
        )
    return runs


def shoot(page: Page, name: str) -> None:
    """Keep what the page shows."""
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(300)
    # Only as high as keeps each picture below 200 kB.
    size = page.viewport_size or DESKTOP
    height = 780 if name in ("run-light", "run-dark") else size["height"]
    page.set_viewport_size({"width": size["width"], "height": height})
    page.screenshot(path=TARGET / f"{name}.png")
    page.set_viewport_size(size)


def take(browser: Browser, served: Served, runs: dict[str, str], model: Model) -> None:
    """All of them."""

    def home(route: Route) -> None:
        """The folder of these pictures is nobody's; show one that a reader might have."""
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "workspace_root": "~/projects"})

    for scheme, size in (("light", DESKTOP), ("dark", DESKTOP), ("phone", PHONE)):
        phone = scheme == "phone"
        context = browser.new_context(
            viewport=size, color_scheme="dark" if scheme == "dark" else "light", device_scale_factor=1
        )
        page = context.new_page()
        page.route("**/api/meta", home)
        page.goto(served.web.launch_url())
        page.wait_for_selector(".run-row")
        if scheme == "light":
            page.goto(f"{served.url}/runs/{runs['running']}")
            page.wait_for_selector(
                "[data-step^='implementation_step['][data-status=streaming]", timeout=60_000
            )
            page.wait_for_timeout(2500)
            shoot(page, "run-live")
        pages = {
            "runs": "/",
            "run": f"/runs/{runs['success']}?step=testing_step"
            + ("" if phone else "&view=files&file=durations.py"),
            "run-failed": f"/runs/{runs['failed']}",
            "gate": f"/runs/{runs['waiting']}",
            "prompt-of-a-call": f"/runs/{runs['success']}?step=testing_step.repair%5B1%5D&view=prompt",
            "new": "/new?workflow=coding",
            "prompts": "/prompts",
            "prompt": "/prompts/coding.repair?version=3&view=diff",
            "costs": "/costs",
        }
        for name, address in pages.items():
            page.goto(served.url + address)
            page.wait_for_selector("#main:not(:has(.skeleton))")
            shoot(page, f"{name}-{scheme}")
        context.close()


def main() -> None:
    """Populate a server, take the pictures, stop it."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        home, root = Path(scratch, "home"), Path(scratch, "mara/projects")
        home.mkdir()
        root.mkdir(parents=True)
        with world(home, root) as (served, model), sync_playwright() as playwright:
            runs = populate(served, model)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
            take(browser, served, runs, model)
            browser.close()
            model.pace = 0


if __name__ == "__main__":
    main()
