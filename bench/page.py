"""The page with a long run: time to the first view, time until every event is applied, and how smoothly it scrolls.

    python bench/page.py [--steps 500] [--megabytes 5] [--rounds 3]

Needs Debian's Chromium. The first view is there when the steps and the text of the chosen one can be read; times
are milliseconds from the start of the navigation, scrolling is given as the time between frames.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.web.serving import OpenAIServer, serving
from tests.web_page.browser import ARGUMENTS, CHROMIUM
from tests.web_page.long_run import write_long_run
from tests.web_page.world import Model, settings_for

_FIRST_VIEW = """() => document.querySelectorAll('[role=treeitem]').length > 5
  && document.querySelector('.output .row-text') ? performance.now() : 0"""
_ALL = "n => Number(document.querySelector('#main')?.dataset.events) === n ? performance.now() : 0"
_SCROLL = """async selector => {
  const box = document.querySelector(selector), gaps = [];
  let last = performance.now();
  for (let n = 0; n < 120; n++) {
    box.scrollTop += 400;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }
  return gaps;
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, OpenAIServer(Model()) as model:
        home, root = Path(scratch, "home"), Path(scratch, "root")
        home.mkdir()
        root.mkdir()
        settings = settings_for(home, model)
        many = write_long_run(settings, steps=given.steps, characters=int(given.megabytes * 1e6))
        one = write_long_run(settings, steps=1, characters=int(given.megabytes * 1e6))
        with serving(settings, root) as served, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(served.web.launch_url())
            page.wait_for_selector("[data-connection=live]")
            for name, run_id, steps in (("many steps", many, given.steps), ("one step", one, 1)):
                for _ in range(given.rounds):
                    measure(page, name, f"{served.url}/runs/{run_id}", 3 * steps + 3)
            browser.close()


def measure(page: Page, name: str, address: str, events: int) -> None:
    """One look at a run."""
    page.goto(address)
    first = page.wait_for_function(_FIRST_VIEW.replace("> 5", "> 5" if events > 20 else "> 0")).json_value()
    whole = page.wait_for_function(_ALL, arg=events).json_value()
    elements = page.evaluate("document.querySelectorAll('*').length")
    box = ".tree" if events > 20 else ".output-scroll"
    gaps = sorted(page.evaluate(_SCROLL, box))
    print(
        f"{name}: first view {first:.0f} ms, all events {whole:.0f} ms, {elements} elements, "
        f"frames p50 {statistics.median(gaps):.0f} ms, p95 {gaps[int(len(gaps) * 0.95)]:.0f} ms"
    )


if __name__ == "__main__":
    main()
