"""A run in the browser: started, watched, cut off, steered, understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.web.serving import Served, wait_for
from tests.web_page.conftest import Opener
from tests.web_page.long_run import write_long_run
from tests.web_page.world import HOSTILE, QUESTION, REQUIREMENT, Model, failed, finished, start

pytestmark = pytest.mark.xdist_group("browser")
expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def done(_world: tuple[Served, Model]) -> Iterator[str]:
    """A finished run with files and tests."""
    with _world[0].client() as client:
        yield finished(client, REQUIREMENT, yes=True)


def live_text(page: Page) -> str:
    """The streamed text that is in view."""
    return page.evaluate(
        "[...document.querySelectorAll('#live .row-text')].map(e => e.textContent).join('\\n')"
    )


def shown(page: Page) -> int:
    """How many events the page has applied."""
    return int(page.get_attribute("#main", "data-events") or 0)


def test_a_run_is_started_from_the_form_and_watched_to_its_end(
    page: Page, model: Model, client: httpx.Client
) -> None:
    model.pace = 0.01
    page.locator("header").get_by_role("link", name="New run").click()
    expect(page.get_by_role("radio", name="Coding")).to_be_checked()
    page.get_by_label("What should be built?").fill(REQUIREMENT)
    page.get_by_text("More options").click()
    page.get_by_label("Go on without asking me").check()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile("/runs/"))
    expect(page.locator("#live .row").first).to_be_visible()
    expect(page.locator(".badge")).to_have_text("Success")
    steps = page.locator("[role=treeitem]")
    expect(steps).to_have_count(10)
    for index in range(10):
        expect(steps.nth(index)).to_have_attribute("data-status", "finished")
    expect(page.locator(".file-name")).to_have_text(["durations.py", "test_durations.py"])
    expect(page.locator("[data-connection]")).to_have_text("Live")
    run = client.get("/api/runs/" + page.url.rpartition("/")[2]).json()
    assert shown(page) == run["last_event_id"]


def test_a_dropped_connection_loses_and_repeats_nothing(
    opener: Opener, model: Model, client: httpx.Client, tmp_path: Path
) -> None:
    sockets: list[WebSocketRoute] = []
    step, go_on = "test_generation_step[test_durations.py]", tmp_path / "go on"
    # That reply is on its way when the connection is lost.
    model.pace, model.chunk, model.until[step] = 0.02, 12, str(go_on)

    page = opener()
    page.route_web_socket(
        re.compile("/socket.io/"), lambda ws: (ws.connect_to_server(), sockets.append(ws)) and None
    )
    page.add_init_script(
        """window.stood = [];
        new MutationObserver(() => {
            const now = document.querySelector('[data-connection]')?.dataset.connection;
            if (now && now !== stood.at(-1)) stood.push(now);
        }).observe(document, { subtree: true, childList: true, attributeFilter: ['data-connection'] });"""
    )
    run_id = start(client, REQUIREMENT, yes=True)
    page.goto(page.url.rstrip("/") + f"/runs/{run_id}")
    expect(page.locator(f"[data-step='{step}'][data-status=streaming]")).to_be_visible()
    expect(page.locator("[data-connection=live]")).to_be_visible()
    before = shown(page)
    sockets[-1].close()
    page.wait_for_function("stood.includes('reconnecting')")
    go_on.touch()
    expect(page.locator(".badge")).to_have_text("Success")
    expect(page.locator("[data-connection=live]")).to_be_visible()
    assert len(sockets) == 2
    events = client.get(f"/api/runs/{run_id}/events").json()["events"]
    expect(page.locator("#main")).to_have_attribute("data-events", str(len(events)))
    assert before < len(events)
    told = {"call": "step_path", "file_change": "step_path", "tests": "step_path"}
    for step in (
        "test_generation_step[test_durations.py]",
        "implementation_step[durations.py]",
        "testing_step",
    ):
        page.locator(f"[data-step='{step}']").click()
        wanted = [str(e["event_id"]) for e in events if e["name"] in told and e[told[e["name"]]] == step]
        expect(page.locator(".output [data-event]")).to_have_count(len(wanted))
        assert (
            page.eval_on_selector_all(".output [data-event]", "all => all.map(e => e.dataset.event)")
            == wanted
        )
    # The reply that was cut in the middle on its way is shown whole.
    page.locator("[data-step='test_generation_step[test_durations.py]']").click()
    rows = page.locator("#t1 .row-text")
    reply = model.replies["test_generation_step[test_durations.py]"].rstrip("\n").split("\n")
    expect(rows.first).to_have_text(reply[0])
    page.locator(".output-scroll").evaluate("e => { e.scrollTop = e.scrollHeight }")
    expect(page.locator("#t1 .row-number").filter(has_text=re.compile(f"^{len(reply)}$"))).to_be_visible()


def test_a_reload_in_mid_run_shows_the_text_from_its_beginning(
    opener: Opener, model: Model, client: httpx.Client
) -> None:
    model.pace, model.chunk, model.chat = 0.05, 3, " ".join(f"word{n:03}" for n in range(900))
    run_id = start(client, "Talk.", "chat", yes=True)
    page = opener(f"/runs/{run_id}")
    expect(page.locator("#live .row").first).to_contain_text("word003")
    page.reload()
    expect(page.locator("#live .row").first).to_contain_text("word000 word001 word002 word003")
    seen = live_text(page)
    page.wait_for_function("n => document.querySelector('#live').textContent.length > n + 100", arg=len(seen))
    words = re.findall(r"word(\d{3}) ", live_text(page))
    assert [int(word) for word in words] == list(range(len(words)))
    model.pace = 0
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop now").click()
    expect(page.locator(".badge")).to_have_text("Cancelled")
    # What was cut off may have been paid for.
    expect(page.locator(".run-facts")).to_contain_text("cost unknown")
    expect(page.locator("[role=treeitem]")).to_contain_text("Stopped")


def at_rest(page: Page) -> int:
    """Where the output stands once nothing moves it any more: the same place over thirty frames."""
    return page.evaluate(
        """() => new Promise(rested => {
            const box = document.querySelector('.output-scroll');
            let top = box.scrollTop, frames = 0;
            const look = () => {
                frames = box.scrollTop === top ? frames + 1 : 0;
                top = box.scrollTop;
                frames < 30 ? requestAnimationFrame(look) : rested(top);
            };
            requestAnimationFrame(look);
        })"""
    )


def grown(page: Page, rows: int = 10) -> None:
    """Return when the text has become so many rows longer than it is."""
    height = page.evaluate("document.querySelector('.output-scroll').scrollHeight")
    page.wait_for_function(
        "h => document.querySelector('.output-scroll').scrollHeight > h", arg=height + rows * 20
    )


#: The lines that can be read, and where each stands.
IN_VIEW = """() => {
    const box = document.querySelector('.output-scroll').getBoundingClientRect();
    return [...document.querySelectorAll('.output-scroll .row')]
        .map(row => [row.querySelector('.row-text').textContent, row.getBoundingClientRect()])
        .filter(([, at]) => at.top >= box.top && at.bottom <= box.bottom)
        .sort((one, other) => one[1].top - other[1].top)
        .map(([text, at]) => [text, at.top]);
}"""
AT_END = "() => { const e = document.querySelector('.output-scroll'); return e.scrollHeight - e.scrollTop - e.clientHeight < 60 }"


def test_the_tail_is_followed_until_somebody_scrolls(
    opener: Opener, model: Model, client: httpx.Client
) -> None:
    model.pace, model.chunk, model.chat = 0.01, 10, "".join(f"line {n}\n" for n in range(60_000))
    run_id = start(client, "Talk.", "chat", yes=True)
    page = opener(f"/runs/{run_id}", viewport={"width": 1200, "height": 500})
    box = page.locator(".output-scroll")
    live = page.get_by_role("button", name="Jump to live")

    def leaves(how: Callable[[], object]) -> None:
        """Going up stops the tail, and what is read stays where it is while the text grows."""
        page.wait_for_function("() => document.querySelector('.output-scroll')?.scrollTop > 600")
        expect(box).to_have_attribute("data-tail", "true")
        expect(live).to_have_count(0)
        how()
        expect(box).to_have_attribute("data-tail", "false")
        top = at_rest(page)
        for _ in range(3):
            grown(page)
            assert box.evaluate("e => e.scrollTop") == top
        expect(box).to_have_attribute("data-tail", "false")

    def follows_again() -> None:
        expect(box).to_have_attribute("data-tail", "true")
        expect(live).to_have_count(0)
        for _ in range(3):
            grown(page)
            page.wait_for_function(AT_END)

    def to_the_end() -> None:
        """Turn the wheel down until the end is reached; it moves away meanwhile."""
        for _ in range(200):
            page.mouse.wheel(0, 2_000)
            if box.get_attribute("data-tail") == "true":
                return
            page.evaluate("() => new Promise(drawn => requestAnimationFrame(drawn))")

    box.hover()
    leaves(lambda: page.mouse.wheel(0, -250))
    live.click()
    follows_again()
    box.hover()
    leaves(lambda: page.mouse.wheel(0, -3))
    to_the_end()
    follows_again()
    box.focus()
    leaves(lambda: page.keyboard.press("PageUp"))
    page.keyboard.press("End")
    follows_again()
    # As the scroll bar does it: a movement without any other input.
    leaves(lambda: box.evaluate("e => { e.scrollTop -= 300 }"))
    box.evaluate("e => { e.scrollTop = e.scrollHeight }")
    follows_again()
    leaves(lambda: page.keyboard.press("ArrowUp"))
    page.keyboard.press("l")
    follows_again()
    model.pace = 0
    client.post(f"/api/runs/{run_id}/cancel", json={"now": True})
    expect(page.locator(".badge")).to_have_text("Cancelled")


def test_who_reads_further_up_is_not_moved_when_the_reply_ends_and_the_next_step_begins(
    opener: Opener, model: Model, client: httpx.Client, tmp_path: Path
) -> None:
    step, go_on = "implementation_step[durations.py]", tmp_path / "go on"
    model.until[step] = str(go_on)
    run_id = start(client, REQUIREMENT, yes=True)
    page = opener(f"/runs/{run_id}", viewport={"width": 1200, "height": 420})
    chosen = page.locator("[role=treeitem][aria-selected=true]")
    expect(chosen).to_have_attribute("data-step", step)
    expect(page.locator("#live")).to_contain_text('or "0s"')
    page.locator(".output-scroll").hover()
    page.mouse.wheel(0, -200)
    at_rest(page)
    read = page.evaluate(IN_VIEW)
    assert len(read) > 3
    go_on.touch()
    expect(page.locator(".badge")).to_have_text("Success")
    expect(page.locator(f"[data-step='{step}']")).to_have_attribute("data-status", "finished")
    expect(page.locator(".output [data-block=call]")).to_have_count(1)
    assert at_rest(page) > 0
    expect(chosen).to_have_attribute("data-step", step)
    assert page.evaluate(IN_VIEW) == read


def test_an_open_question_is_answered_and_the_run_goes_on(opener: Opener, client: httpx.Client) -> None:
    run_id = finished(client, REQUIREMENT + " (asks first)")
    page = opener(f"/runs/{run_id}")
    expect(page.locator(".badge")).to_have_text("Waiting for you")
    expect(page.locator("[role=treeitem][aria-selected=true]")).to_contain_text("Refine")
    send = page.get_by_role("button", name="Send answers")
    expect(send).to_be_disabled()
    page.get_by_label(QUESTION).fill("An error.")
    send.click()
    expect(page.locator(".badge")).to_have_text("Success")
    page.locator("[data-step='requirement_step.refine']").click()
    # The answer was made part of the requirement by a call of its own.
    expect(page.locator(".output [data-block=call]")).to_contain_text("coding.refine")


def test_writes_are_approved_with_their_diff_in_sight(
    opener: Opener, client: httpx.Client, served: Served
) -> None:
    run_id = finished(client, REQUIREMENT, yes=True, approve_writes=True)
    page = opener(f"/runs/{run_id}")
    gate = page.locator("[data-gate=writes]")
    expect(gate.locator("tr.added").first).to_be_visible()
    workspace = Path(client.get(f"/api/runs/{run_id}").json()["workspace"])
    assert not (workspace / "test_durations.py").exists()
    gate.get_by_role("button", name="Write them").click()
    wait_for((workspace / "test_durations.py").exists, why="the approved file")
    expect(gate.get_by_text("durations.py").first).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Reject").click()
    expect(page.locator(".badge")).to_have_text("Failed")


def test_the_failing_step_opens_itself_with_its_tests(opener: Opener, client: httpx.Client) -> None:
    run_id = failed(client)
    page = opener(f"/runs/{run_id}")
    expect(page.locator("[role=treeitem][aria-selected=true]")).to_contain_text("Testing")
    failures = page.locator(".output .tests").last.locator("details.failure")
    expect(failures).to_have_count(5)
    for index in range(5):
        expect(failures.nth(index)).to_have_attribute("open", "")
    expect(failures.first.locator(".failure-text")).to_contain_text("assert 1800 == 5400")
    expect(page.get_by_role("alert").first).to_contain_text("The same failure came twice")
    expect(page.get_by_role("tab", name="Tests 5")).to_have_attribute("aria-selected", "true")


def test_a_file_is_undone_and_one_that_changed_since_only_by_force(
    opener: Opener, client: httpx.Client
) -> None:
    run_id = finished(client, REQUIREMENT, yes=True)
    workspace = Path(client.get(f"/api/runs/{run_id}").json()["workspace"])
    page = opener(f"/runs/{run_id}?view=files")
    page.get_by_role("button", name="Undo test_durations.py").click()
    expect(page.locator(".file-name")).to_have_text(["durations.py"])
    assert not (workspace / "test_durations.py").exists()
    (workspace / "durations.py").write_text("mine\n")
    page.get_by_role("button", name="Undo durations.py").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("durations.py")
    assert (workspace / "durations.py").read_text() == "mine\n"
    dialog.get_by_role("button", name="Undo all the same").click()
    expect(page.get_by_text("The changes were taken back")).to_be_visible()
    assert not (workspace / "durations.py").exists()


def test_a_fork_goes_its_own_way(opener: Opener, client: httpx.Client, done: str) -> None:
    page = opener(f"/runs/{done}?step=testing_step")
    page.get_by_role("button", name="Fork from here").click()
    page.get_by_role("dialog").get_by_role("button", name="Fork").click()
    page.wait_for_function("id => !location.pathname.includes(id)", arg=done)
    expect(page.get_by_role("link", name=re.compile("forked from"))).to_be_visible()
    assert client.get("/api/runs/" + page.url.rpartition("/")[2]).json()["parent_run"] == done


def test_addresses_name_step_file_and_line(opener: Opener, done: str) -> None:
    page = opener(f"/runs/{done}?step=testing_step.repair%5B1%5D&view=files&file=durations.py#L9")
    expect(page.locator("[role=treeitem][aria-selected=true]")).to_contain_text("Repair 1")
    expect(page.locator("tr.marked")).to_contain_text("def parse_duration")
    page.goto(page.url.split("?")[0] + "?step=implementation_step%5Bdurations.py%5D#t1-L5")
    expect(page.locator(".row.marked .row-text")).to_have_text(
        '"""Durations such as ``1h30m`` and numbers of seconds, both ways."""'
    )


def test_the_exact_prompt_of_a_call_is_shown(opener: Opener, done: str) -> None:
    page = opener(f"/runs/{done}?step=testing_step.repair%5B1%5D")
    page.locator("[data-block=call]").get_by_role("link", name="Prompt").click()
    panel = page.get_by_role("tabpanel")
    expect(panel.locator("#m1 .row").first).to_be_visible()
    # Another test of this server may have put a second version in effect.
    expect(panel).to_contain_text(re.compile(r"coding\.repair v\d"))
    # Only the lines in sight are in the document.
    expect(panel).to_contain_text("You repair a Python project whose tests fail.")
    panel.get_by_role("button", name="Template").click()
    expect(panel).to_contain_text("{{")


def test_what_a_model_says_is_text_and_nothing_else(
    opener: Opener, model: Model, client: httpx.Client
) -> None:
    model.chat = HOSTILE
    run_id = finished(client, HOSTILE, "chat", yes=True)
    page = opener(f"/runs/{run_id}")
    expect(page.locator(".output")).to_contain_text("<script>window.taken = 1</script>")
    page.get_by_role("tab", name="Details").click()
    page.get_by_role("tab", name="Prompt").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("<script>window.taken = 1</script>")
    page.goto(page.url.split("/runs/")[0])
    expect(page.locator(".run-title").first).to_contain_text("<script>")
    assert page.evaluate("window.taken") is None
    assert page.locator("img[src^='http'], .output script").count() == 0


def test_keys_alone_are_enough(opener: Opener, done: str) -> None:
    page = opener()
    page.wait_for_selector(".run-row")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".run-row").first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/runs/"))
    page.goto(page.url.split("/runs/")[0] + f"/runs/{done}?step=requirement_step")
    chosen = page.locator("[role=treeitem][aria-selected=true]")
    expect(chosen).to_contain_text("Requirement")
    # The report is drawn first; sub-steps come with the events.
    expect(page.locator("#main")).to_have_attribute("data-settled", "true")
    page.keyboard.press("Enter")
    expect(chosen).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("j")
    expect(chosen).to_contain_text("Design")
    page.keyboard.press("d")
    expect(page.get_by_role("tab", name="Details")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url(re.compile("/prompts$"))
    page.keyboard.press("n")
    page.wait_for_url(re.compile("/new$"))


def test_a_long_run_is_drawn_in_parts(opener: Opener, served: Served) -> None:
    run_id = write_long_run(served.app.settings, steps=300, characters=3_000_000)
    page = opener(f"/runs/{run_id}")
    expect(page.locator("#main")).to_have_attribute("data-events", "903")
    expect(page.locator("[role=treeitem][aria-selected=true]")).to_contain_text("Chapter 300")
    assert page.locator("[role=treeitem]").count() < 60
    assert page.locator("*").count() < 1500
    page.locator(".tree").evaluate("e => { e.scrollTop = 0 }")
    page.get_by_role("treeitem", name="Chapter 1 ").first.click()
    expect(page.locator(".output .row-text").first).to_contain_text("Chapter 1: a line")
    page.locator(".output-scroll").evaluate("e => { e.scrollTop = e.scrollHeight }")
    expect(page.locator(".output .row-number").filter(has_text=re.compile("^10[0-9]$")).last).to_be_visible()
    assert page.locator(".output .row").count() < 120
