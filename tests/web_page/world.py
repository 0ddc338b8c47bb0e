"""A small world for the page: a model that knows the demo's replies, and runs and prompts made with it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import resources
from pathlib import Path

import httpx

from tests.web.serving import Served, serving
from windlass.evidence import Comparison, Tally
from windlass.prompt.compare import CaseResult
from windlass.settings import ModelSettings, PriceSettings, Settings
from windlass.store.prompt_comparisons import SqlResultBook
from windlass.testing.server import Answer, Fault, OpenAIServer, Request

#: Long enough for a whole coding run on a very busy machine (seconds).
PATIENCE = 120.0
REQUIREMENT = (
    "A module durations.py: parse_duration turns texts such as '1h30m' into seconds, format_duration turns "
    "seconds back into the shortest such text. Bad input is a ValueError."
)
QUESTION = "Is an empty text an error, or 0 seconds?"
#: What a model might say to take over the page that shows it.
HOSTILE = (
    "<script>window.taken = 1</script>\n<img src=x onerror='window.taken = 2'>\n"
    "<img src='http://evil.example/pixel.png'>\n[click](javascript:window.taken=3)\n<style>body{display:none}</style>"
)


def _replies() -> dict[str, str]:
    session = json.loads(resources.files("windlass").joinpath("sessions/demo.json").read_text())
    return {row["step"]: row["text"] for row in session["replies"]}


@dataclass
class Model:
    """Answers like the demo's session. The requirement's words say what goes otherwise: ``(never repaired)``,
    ``(asks first)``. ``pace`` is the wait before each piece of text (seconds); ``hold`` keeps replies back while it is set
    and not yet let go. ``until`` holds the end of a step's reply back until a file is there."""

    pace: float = 0.0
    chunk: int = 16
    hold: threading.Event | None = None
    replies: dict[str, str] = field(default_factory=_replies)
    chat: str = "Hello."
    until: dict[str, str] = field(default_factory=dict)

    def __call__(self, request: Request) -> Answer | Fault:
        if self.hold is not None:
            self.hold.wait(20)
        text = self.replies.get(request.step, self.chat)
        if request.step == "requirement_step" and "(asks first)" in request.text:
            text = json.dumps({**json.loads(text), "open_questions": [QUESTION]})
        if request.step.startswith("testing_step.repair") and "(never repaired)" in request.text:
            text = "Nothing is wrong with it.\n\n" + self.replies[
                "implementation_step[durations.py]"
            ].replace("numbers of seconds", "seconds")
        return Answer(text, chunk=self.chunk, seconds_per_chunk=self.pace, until=self.until.get(request.step))


def settings_for(home: Path, model: OpenAIServer) -> Settings:
    """Settings with one model, which is the local server, at a price; and the same without one, as ``unpriced``."""
    price = PriceSettings(input=Decimal("0.25"), output=Decimal("2"))
    local = ModelSettings(model="openai-chat:workshop-1", base_url=model.base_url, price=price)
    unpriced = ModelSettings(model="openai-chat:workshop-2", base_url=model.base_url)
    models = {"workshop": local, "unpriced": unpriced}
    return Settings(home=home, model="workshop", models=models, tag_requests=True)


@contextmanager
def world(home: Path, root: Path) -> Iterator[tuple[Served, Model]]:
    """A server and its model."""
    model = Model()
    with OpenAIServer(model) as running, serving(settings_for(home, running), root) as served:
        yield served, model


def start(client: httpx.Client, prompt: str, workflow: str = "coding", **options: object) -> str:
    """Start a run; its id."""
    answer = client.post("/api/runs", json={"workflow": workflow, "prompt": prompt, "options": options})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["run_id"])


def finished(client: httpx.Client, prompt: str, workflow: str = "coding", **options: object) -> str:
    """A run that has come to its end, or waits for a person; its id."""
    return ended(client, start(client, prompt, workflow, **options))


def ended(client: httpx.Client, run_id: str) -> str:
    """The same run, once it has come to its end or waits for a person."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        run = client.get(f"/api/runs/{run_id}").json()
        # The process that worked on it lets go a moment after the end; before that nothing can be undone.
        if run["status"] not in ("Pending", "Started") and run["display_status"] != "running":
            return run_id
        time.sleep(0.05)
    raise AssertionError(f"run {run_id} did not end: {run}")


def forked(client: httpx.Client, run_id: str, step: str) -> str:
    """A fork that has come to its end; its id."""
    answer = client.post(f"/api/runs/{run_id}/fork", json={"from": step})
    assert answer.status_code == 201, answer.text
    return ended(client, str(answer.json()["run_id"]))


def failed(client: httpx.Client) -> str:
    """A run whose tests fail to the end."""
    return finished(client, REQUIREMENT + " (never repaired)", yes=True, max_repairs=1)


def add_versions(served: Served) -> None:
    """Two more versions of the repair prompt, and a comparison that speaks for the newest."""
    store = served.app.prompts
    name = "coding.repair"
    first = store.effective(name).content
    note = "Say what is wrong before changing anything"
    second = first + "\nBefore you change anything, say in one sentence what is wrong.\n"
    two = store.add(name, second, note=note, author="mara", parent=1)
    third = second.replace("in one sentence what", "in one sentence which line fails and what")
    three = store.add(name, third, note="Name the failing line", author="jon", parent=two)
    store.use(name, two, reason="Repairs went round in circles", actor="mara")
    book = SqlResultBook(served.app.database, name, two, three, context="exercises")
    wins = losses = 0
    for case in range(40):
        old, new = case % 3 != 0, case % 11 != 5
        for version, passed in ((two, old), (three, new)):
            cost = 2100 + (case * 37) % 400 - (250 if version == three else 0)
            book.record(f"case-{case:02}", version, CaseResult("pass" if passed else "fail", cost))
        wins, losses = wins + (new and not old), losses + (old and not new)
    both = sum(case % 3 != 0 and case % 11 != 5 for case in range(40))
    tallies = (
        Tally(two, both + losses, 40 - both - losses, 0, 90_000, 0),
        Tally(three, both + wins, 40 - both - wins, 0, 80_000, 0),
    )
    book.conclude(
        Comparison(*tallies, both=both, only_new=wins, only_old=losses, neither=40 - both - wins - losses)
    )
