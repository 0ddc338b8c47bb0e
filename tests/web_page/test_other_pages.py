"""The lists, the form, prompts and costs in the browser; what every page owes to everyone."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.page_tools import node, npm_package
from tests.web.serving import Served
from tests.web_page.conftest import Opener
from tests.web_page.world import REQUIREMENT, Model, add_versions, failed, finished

pytestmark = pytest.mark.xdist_group("browser")
expect.set_options(timeout=60_000)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def runs(_world: tuple[Served, Model]) -> Iterator[dict[str, str]]:
    """One run in each state that a page draws differently, and a prompt with versions."""
    served, _ = _world
    with served.client() as client:
        made = {
            "success": finished(client, REQUIREMENT, yes=True),
            "failed": failed(client),
            "waiting": finished(client, "Both ways (asks first)"),
        }
    if len(served.app.prompts.versions("coding.repair")) == 1:
        add_versions(served)
    yield made


def test_runs_are_found_by_words_and_status(opener: Opener, runs: dict[str, str]) -> None:
    page = opener()
    page.get_by_label("Search runs").fill("Both ways")
    expect(page.locator(".run-row")).to_have_count(1)
    assert "q=Both+ways" in page.url
    page.get_by_label("Search runs").fill("")
    page.get_by_role("button", name="Waiting").click()
    expect(page.locator(f"[data-run='{runs['waiting']}']")).to_be_visible()
    expect(page.locator(f"[data-run='{runs['failed']}']")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("button", name="Waiting")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Search runs").fill("no such run anywhere")
    expect(page.get_by_role("heading", name="No run matches")).to_be_visible()


def test_files_are_picked_and_wrong_options_are_told(opener: Opener, served: Served) -> None:
    root = served.options.roots[0]
    (root / "picked").mkdir(exist_ok=True)
    (root / "picked" / "notes.md").write_text("hello\n")
    (root / "picked" / "other.py").write_text("x = 1\n")
    page = opener("/new?workflow=write")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_contain_text("Say what you want")
    page.get_by_label("Folder to work in").fill("picked")
    page.get_by_role("button", name="Choose files").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Filter files").fill("notes")
    dialog.get_by_label("notes.md").check()
    expect(dialog.get_by_label("other.py")).to_have_count(0)
    dialog.get_by_role("button", name="Done").click()
    expect(page.locator(".chip")).to_have_text("notes.md")
    page.get_by_label("What should be written?").fill("A page.")
    page.get_by_label("Folder to work in").fill("../outside")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_contain_text("folder")


def test_a_version_is_written_switched_to_and_rolled_back(
    opener: Opener, client: httpx.Client, runs: dict[str, str]
) -> None:
    page = opener("/prompts")
    page.get_by_role("link", name="coding.design").click()
    page.get_by_role("button", name="New version", exact=True).click()
    dialog = page.get_by_role("dialog")
    text = dialog.get_by_label("Text")
    text.fill(text.input_value() + "\nPrefer few files.\n")
    dialog.get_by_label("What is different").fill("Fewer files")
    dialog.get_by_role("button", name="Store").click()
    expect(page.locator("[data-version='2']")).to_contain_text("Fewer files")
    page.get_by_role("button", name="Changes since v1").click()
    expect(page.locator("tr.added").last).to_contain_text("Prefer few files.")
    page.get_by_role("button", name="Use this version").click()
    dialog.get_by_label("Why").fill("Designs were too large")
    dialog.get_by_role("button", name="Use version 2").click()
    expect(page.locator("[data-version='2']")).to_contain_text("in effect")
    expect(page.locator(".timeline")).to_contain_text("Designs were too large")
    assert client.get("/api/prompts/coding.design").json()["effective"] == 2
    page.get_by_role("button", name="Roll back").first.click()
    dialog.get_by_role("button", name="Roll back").click()
    expect(page.locator("[data-version='1']")).to_contain_text("in effect")
    assert client.get("/api/prompts/coding.design").json()["effective"] == 1


def test_a_switch_that_was_made_elsewhere_meanwhile_is_not_undone(
    opener: Opener, client: httpx.Client, runs: dict[str, str]
) -> None:
    page = opener("/prompts/coding.repair?version=3")
    page.get_by_role("button", name="Use this version").click()
    before = client.get("/api/prompts/coding.repair").json()
    assert client.post("/api/prompts/coding.repair/use", json={"version": 1}).status_code == 200
    page.get_by_role("dialog").get_by_role("button", name="Use version 3").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    assert client.get("/api/prompts/coding.repair").json()["effective"] == 1
    client.post("/api/prompts/coding.repair/use", json={"version": before["effective"]})


def test_evidence_and_costs_are_drawn(opener: Opener, runs: dict[str, str]) -> None:
    page = opener("/prompts/coding.repair")
    expect(page.locator(".comparison canvas")).to_be_visible()
    expect(page.locator(".comparison")).to_contain_text("v3 against v2")
    page.get_by_role("button", name="Pass rates").click()
    expect(page.get_by_role("img", name=re.compile("After 40 pairs: v3 90%, v2 65%"))).to_be_visible()
    page.goto(page.url.split("/prompts")[0] + "/costs")
    expect(page.locator("canvas")).to_be_visible()
    for by in ("Model", "Workflow", "Prompt"):
        page.get_by_role("button", name=by, exact=True).click()
        expect(page.locator("th").first).to_have_text(by)
    expect(page.locator("tbody")).to_contain_text("coding.repair")


def test_a_browser_that_is_not_signed_in_is_told_how(opener: Opener, complaints: list[str]) -> None:
    page = opener("/", signed_in=False)
    expect(page.get_by_role("heading", name="This browser is not signed in")).to_be_visible()
    expect(page.locator("[data-connection=refused]")).to_be_visible()
    # The refused requests themselves.
    assert complaints
    complaints[:] = [line for line in complaints if "401" not in line and "WebSocket" not in line]


def test_a_run_or_page_that_does_not_exist_is_said_so(opener: Opener, complaints: list[str]) -> None:
    page = opener("/runs/nosuchrun")
    expect(page.get_by_role("heading", name="There is no such run")).to_be_visible()
    page.goto(page.url.replace("/runs/nosuchrun", "/nowhere"))
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    complaints[:] = [line for line in complaints if "404" not in line]


def addresses(runs: dict[str, str]) -> dict[str, str]:
    """Every page, in the states that differ."""
    return {
        "runs": "/",
        "run": f"/runs/{runs['success']}?step=testing_step&view=files&file=durations.py",
        "prompt of a call": f"/runs/{runs['success']}?step=testing_step.repair%5B1%5D&view=prompt",
        "details": f"/runs/{runs['success']}?view=details",
        "failed": f"/runs/{runs['failed']}",
        "waiting": f"/runs/{runs['waiting']}",
        "new": "/new",
        "prompts": "/prompts",
        "prompt": "/prompts/coding.repair?version=3&view=diff",
        "costs": "/costs",
    }


def settle(page: Page, address: str) -> None:
    """Show an address until nothing loads any more."""
    page.goto(address)
    page.wait_for_selector("#main")
    expect(page.locator(".skeleton")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opener: Opener, served: Served, runs: dict[str, str], scheme: str) -> None:
    axe = (npm_package("axe-core") / "axe.min.js").read_text()
    page = opener(color_scheme=scheme, reduced_motion="reduce")
    found: dict[str, Any] = {}
    for name, address in addresses(runs).items():
        settle(page, served.url + address)
        # Through the protocol, not as a script element: the page's own policy would refuse that.
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [v for v in result["violations"] if v["impact"] in ("serious", "critical")]
        found |= {f"{name}: {v['id']}": [node["html"] for node in v["nodes"]][:3] for v in serious}
    assert found == {}


def test_nothing_is_cut_off_on_a_phone(opener: Opener, served: Served, runs: dict[str, str]) -> None:
    page = opener(viewport={"width": 375, "height": 740}, has_touch=True)
    for name, address in addresses(runs).items():
        settle(page, served.url + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, name
    page.goto(f"{served.url}/runs/{runs['success']}")
    page.get_by_role("tab", name="Steps 10").click()
    page.locator("[data-step='testing_step']").click()
    expect(page.locator(".output .tests").first).to_be_visible()
    page.get_by_role("tab", name="Files & more").click()
    page.locator("[data-file='durations.py']").click()
    expect(page.locator("tr.added").first).to_be_visible()


def static() -> Path:
    """The built page."""
    return ROOT / "src" / "windlass" / "web" / "static"


def test_the_first_view_needs_at_most_80_kb_of_script() -> None:
    html = (static() / "index.html").read_text()
    scripts = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', html)
    assert scripts
    assert sum(len(gzip.compress((static() / name).read_bytes(), 9)) for name in scripts) <= 80_000


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    html = (static() / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)
    assert not re.search(r'(?:src|href)="(?!/)', html)
    for sheet in static().rglob("*.css"):
        assert not re.search(r"@import|url\((?!/assets/|data:)", sheet.read_text()), sheet.name


def test_no_source_writes_html() -> None:
    sources = list((ROOT / "frontend" / "src").rglob("*.ts*"))
    assert len(sources) > 20
    for path in sources:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text()
        ), path.name


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text())
    packages = [row for name, row in lock["packages"].items() if name]
    assert packages
    assert not [row for row in packages if "resolved" in row]
    assert all("integrity" in row for row in packages)


def test_the_committed_page_is_what_the_sources_give(tmp_path: Path) -> None:
    npm_package("vite")
    found = node()
    script = importlib.util.spec_from_file_location("check_build", ROOT / "frontend" / "check_build.py")
    assert script is not None and script.loader is not None
    check = importlib.util.module_from_spec(script)
    script.loader.exec_module(check)
    check.build(tmp_path / "static", found)
    assert check.differences(tmp_path / "static") == []
