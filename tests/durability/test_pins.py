"""A run goes on with the settings that it began with, whatever they are when it is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.faults import EXPECTED, answer, settings

from tests.durability.test_control import start
from windlass.app import App
from windlass.errors import InputError
from windlass.events import Event, WorkflowStatus
from windlass.settings import Settings
from windlass.testing.server import Answer, Fault, OpenAIServer, Request


def with_model(name: str, home: Path, base_url: str, **more: object) -> Settings:
    """The settings with their one model under another name."""
    usual = settings(home, base_url)
    model = usual.models["flaky"].model_copy(update={"model": f"openai-chat:{name}"})
    return usual.model_copy(update={"model": name, "models": {**usual.models, name: model}, **more})


def no_implementation(request: Request) -> Answer | Fault:
    if request.step.startswith("implementation_step"):
        return Fault("status", status=400, message="not now")
    return answer(request)


async def test_a_run_keeps_its_models_and_its_test_command(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with OpenAIServer(no_implementation) as server:
        first = with_model("first", home, server.base_url)
        app = App(first)
        record = await start(app, tmp_path)
        assert (await app.execute(record.run_id)).status is WorkflowStatus.Failure
        await app.close()
        assert {r.request.model for r in server.records} == {"first"}

        server.handler, heard = answer, list[Event]()
        other = with_model("other", home, server.base_url, test_command=("false",), fast_model="other")
        app = App(other.model_copy(update={"models": {**first.models, **other.models}}))
        done = await app.execute(record.run_id, listeners=[heard.append])
        assert done.status is WorkflowStatus.Success
        assert {r.request.model for r in server.records} == {"first"}
        assert {p.name: p.read_bytes() for p in (tmp_path / "work").iterdir()} == EXPECTED
        (told,) = [
            e.payload["text"] for e in heard if e.name == "notice" and "began with" in e.payload["text"]
        ]
        assert told == (
            "The run goes on with the model that it began with, first; another one takes: "
            f"windlass fork {record.run_id} --from STEP --model MODEL"
        )
        # A fork takes the models that are set now, and tests as its kept part did.
        fork = await app.fork(record.run_id, "summary_step")
        assert (await app.execute(fork.run_id)).status is WorkflowStatus.Success
        assert server.records[-1].request.model == "other"
        await app.close()


async def test_a_model_that_is_no_longer_there_is_named(tmp_path: Path) -> None:
    with OpenAIServer(no_implementation) as server:
        app = App(with_model("first", tmp_path / "home", server.base_url))
        record = await start(app, tmp_path)
        await app.execute(record.run_id)
        await app.close()
        app = App(settings(tmp_path / "home", server.base_url))
        with pytest.raises(InputError, match="first"):
            await app.execute(record.run_id)
        await app.close()
