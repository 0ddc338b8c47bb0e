"""Cases run as ordinary runs, each made once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.faults import settings

from windlass.app import App
from windlass.prompt.cases import Case
from windlass.testing.protocol import Answer
from windlass.testing.server import OpenAIServer
from windlass.trials import Trials


async def test_a_case_that_is_asked_for_several_times_at_once_is_run_once(tmp_path: Path) -> None:
    with OpenAIServer(lambda request: Answer("A short summary.", delay=0.2)) as server:
        app = App(settings(tmp_path / "home", server.base_url))
        trials = Trials(app, "summarise", {}, "a context")
        case = Case("one", {"values": {"notes": "x"}, "expect": {"contains": ["summary"]}})
        found = await asyncio.gather(*(trials.run_case("Sum up {{notes}}", case) for _ in range(5)))
        assert [result.outcome for result in found] == ["pass"] * 5, found
        assert server.count() == 1
        assert list((tmp_path / "home" / "trials").iterdir()) == []
        await app.close()
