import live_server
import pytest


@pytest.fixture(params=["wire", "pydantic-ai"])
def through(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to a compatible server: directly, and, as soon as an alias sets options, through pydantic-ai."""
    monkeypatch.setattr(live_server, "OPTIONS", {} if request.param == "wire" else {"seed": 7})
    return str(request.param)
