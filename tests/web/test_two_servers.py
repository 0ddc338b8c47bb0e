"""Two servers on one PostgreSQL database: each shows what the other does, and a run has one owner."""

from __future__ import annotations

from pathlib import Path

from tests.support.postgres import postgres_server, postgres_url  # noqa: F401
from tests.web.serving import Answer, OpenAIServer, Talk, serving, settings_for, wait_for_end
from tests.web.test_live import LONG, Watcher
from tests.web.wire import Wire


def test_each_shows_the_runs_of_the_other(
    own: tuple[Path, Path, str],
    model: OpenAIServer,
    talk: Talk,
    postgres_url: str,  # noqa: F811
) -> None:
    home, root, base_url = own
    usual, talk.answer = talk.answer, Answer(LONG, chunk=8, seconds_per_chunk=0.02)
    settings = settings_for(home, base_url, database_url=postgres_url)
    try:
        with serving(settings, root) as one, serving(settings, root) as two:
            with one.client() as here, two.client() as there:
                everything = Wire(two)
                everything.call("subscribe", {"run": "*"})
                run_id = one.start(here)
                near, far = Watcher(one, run_id), Watcher(two, run_id)
                # Heard although the run may have been opened before its server heard of it.
                assert everything.next()[1]["status"] == "Started"
                while far.step() != "update_workflow_step":
                    pass
                far.reconnect()
                near.to_the_end()
                far.to_the_end()
                stored = there.get(f"/api/runs/{run_id}/events").json()["events"]
                assert near.applied == far.applied == stored
                assert everything.next()[1]["status"] == "Success"
                assert wait_for_end(there, run_id)["status"] == "Success"
                everything.close()
    finally:
        talk.answer = usual


def test_a_note_that_is_not_ours_does_no_harm(
    own: tuple[Path, Path, str],
    model: OpenAIServer,
    postgres_url: str,  # noqa: F811
) -> None:
    import psycopg

    home, root, base_url = own
    with (
        serving(settings_for(home, base_url, database_url=postgres_url), root) as one,
        one.client() as client,
    ):
        with psycopg.connect(postgres_url, autocommit=True) as anybody:
            for payload in ("", "[]", "{", '{"x": "y"}', '{"01nosuchrun": 99}', "cos\nsystem\n(S'id'\ntR."):
                anybody.execute("SELECT pg_notify('windlass_events', %s)", (payload,))
        run_id = one.start(client)
        assert wait_for_end(client, run_id)["status"] == "Success"
        assert client.get("/readyz").status_code == 200
