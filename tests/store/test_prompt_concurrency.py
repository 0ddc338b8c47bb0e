"""Many writers at once: processes, threads, and any order of operations by two clients."""

import json
import logging
import threading
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.processes import together
from windlass.errors import NotFound, PromptConflict
from windlass.prompt import MemoryPromptStore
from windlass.store.base import Database
from windlass.store.prompts import SqlPromptStore

ROUNDS = """
import json, sys
from windlass.store.base import Database
from windlass.store.prompts import SqlPromptStore
store = SqlPromptStore(Database(sys.argv[1]))
store.ensure("p", "default")
print("ready", flush=True)
sys.stdin.readline()
numbers, in_effect, sources, retired = [], set(), set(), 0
for round in range(50):
    number = store.add("p", f"text {round}")
    numbers.append(number)
    try:
        store.use("p", number)
    except LookupError:
        retired += 1  # the others added four more meanwhile
    in_effect.add(sum(version.is_current_effective for version in store.versions("p", retired=True)))
    sources.add(store.resolve("p", "default").source)
print(json.dumps([numbers, sorted(in_effect), sorted(sources), retired]))
"""


@pytest.mark.slow
def test_eight_processes_add_use_and_read(url):
    with together(ROUNDS, [url] * 8) as outputs:
        found = [json.loads(output) for output in outputs]
    numbers = [number for own, *_ in found for number in own]
    assert sorted(numbers) == list(range(2, 402))
    assert all(in_effect == [1] for _, in_effect, *_ in found)
    assert {source for _, _, sources, _ in found for source in sources} <= {"db", "cache"}
    database = Database(url)
    store = SqlPromptStore(database)
    versions = store.versions("p", retired=True)
    assert len(versions) == 401
    assert len([version for version in versions if version.archived_at is None]) == 4
    moves = store.log("p")
    assert len(moves) == 1 + 400 - sum(retired for *_, retired in found)
    assert all(one.to_version_no == two.from_version_no for one, two in pairwise(moves))
    database.close()


def test_first_use_by_eight_threads_on_25_names(database):
    barrier, answers = threading.Barrier(8), []
    store = SqlPromptStore(database)

    def first_use():
        barrier.wait()
        answers.extend(store.resolve(f"p{number}", f"default {number}") for number in range(25))

    threads = [threading.Thread(target=first_use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 200
    assert {(each.version_no, each.source) for each in answers} <= {(1, "db"), (1, "cache")}
    versions = [version for name in store.names() for version in store.versions(name, retired=True)]
    assert len(versions) == 25
    assert all(version.is_current_effective for version in versions)
    store.close()


class TwoClients(RuleBasedStateMachine):
    """Two stores on one database behave like the store in memory, whatever they do in turn."""

    new_url = None

    @initialize()
    def start(self):
        self.databases = [Database(url) for url in [self.new_url()] * 2]
        self.clients = [SqlPromptStore(database) for database in self.databases]
        self.model = MemoryPromptStore()
        self.runs = {}
        for store in (*self.clients, self.model):
            store.ensure("p", "default {{x}}")

    client = st.integers(0, 1)
    number = st.integers(0, 12)

    def both(self, client, ask):
        """The same answer, or the same error, from a client and the model."""
        answers = []
        for store in (self.clients[client], self.model):
            try:
                answers.append(ask(store))
            except (NotFound, PromptConflict) as error:
                answers.append((type(error), str(error)))
        assert answers[0] == answers[1]
        return answers[0]

    @rule(client=client, text=st.sampled_from(["a {{x}}", "b {{x}}", "a {{x}}\n"]))
    def add(self, client, text):
        self.both(client, lambda store: store.add("p", text))

    @rule(client=client, number=number)
    def use(self, client, number):
        self.both(client, lambda store: store.use("p", number).version_no)

    @rule(client=client, which=st.integers(0, 3))
    def use_a_live_one(self, client, which):
        live = [version.version_no for version in self.model.versions("p")]
        self.both(client, lambda store: store.use("p", live[which % len(live)]).version_no)

    @rule(client=client, number=number, late=st.booleans())
    def use_what_was_seen(self, client, number, late):
        def ask(store):
            seen = store.effective("p").revision
            if late:
                store.add("p", "late {{x}}")
            return store.use("p", number, expected_revision=seen).version_no

        self.both(client, ask) if not late else self.conflict(client, ask)

    def conflict(self, client, ask):
        for store in (self.clients[client], self.model):
            with pytest.raises(PromptConflict):
                ask(store)

    @rule(client=client)
    def rollback(self, client):
        self.both(client, lambda store: store.rollback("p").version_no)

    @rule(client=client, number=number, retired=st.booleans())
    def get(self, client, number, retired):
        self.both(client, lambda store: store.get("p", number, retired=retired))

    @rule(client=client, run=st.sampled_from("uv"))
    def resolve_for_a_run(self, client, run):
        answer = self.both(client, lambda store: store.resolve("p", "default {{x}}", run_id=run).version_no)
        assert self.runs.setdefault(run, answer) == answer

    @rule(client=client, run=st.sampled_from("wxyz"), which=st.integers(0, 3))
    def switch_under_a_run(self, client, run, which):
        self.resolve_for_a_run(client, run)
        self.use_a_live_one(1 - client, which)
        self.resolve_for_a_run(1 - client, run)

    @rule(client=client)
    def adopt_a_changed_default(self, client):
        def ask(store):
            store.resolve("p", "changed {{x}}")
            number = store.adopt_default("p") if store.drift() else None
            store.resolve("p", "changed {{x}}")
            return number

        self.both(client, ask)

    @invariant()
    def everything_agrees(self):
        if not hasattr(self, "model"):
            return
        expected = [
            (v.version_no, v.content, v.is_current_effective, v.archived_at is not None, v.parent_version_no)
            for v in self.model.versions("p", retired=True)
        ]
        moves = [(s.from_version_no, s.to_version_no, s.kind) for s in self.model.log("p")]
        effective = [each for each in expected if each[2]]
        assert len(effective) == 1
        assert not effective[0][3]
        live = [each for each in expected if not each[3]]
        assert len(live) <= 4
        assert live[-1][0] == expected[-1][0] == len(expected)
        for client in self.clients:
            assert [
                (
                    v.version_no,
                    v.content,
                    v.is_current_effective,
                    v.archived_at is not None,
                    v.parent_version_no,
                )
                for v in client.versions("p", retired=True)
            ] == expected
            assert [(s.from_version_no, s.to_version_no, s.kind) for s in client.log("p")] == moves
            resolved = client.resolve("p", "default {{x}}")
            assert (resolved.version_no, resolved.content) == effective[0][:2]
            assert resolved.source in ("db", "cache")
            assert client.latest("p").version_no == expected[-1][0]

    def teardown(self):
        for store in getattr(self, "clients", ()):
            store.close()
        for database in getattr(self, "databases", ()):
            database.close()


@pytest.mark.parametrize(
    ("kind", "examples"),
    [("sqlite", 12), pytest.param("postgresql", 6, marks=pytest.mark.xdist_group("postgresql"))],
)
def test_any_sequence_by_two_clients(new_url, kind, examples):
    logging.getLogger("windlass.prompt").disabled = True
    try:
        machine = type("Machine", (TwoClients,), {"new_url": staticmethod(lambda: new_url(kind))})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        logging.getLogger("windlass.prompt").disabled = False
