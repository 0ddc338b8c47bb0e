"""Comparisons and live experiments with a database behind them."""

import json
from itertools import count

import pytest

from tests.test_prompt_compare import CASES, NEW, OLD, Model
from windlass.errors import InputError, NotFound, PromptConflict
from windlass.evidence import Comparison, Tally
from windlass.prompt import PromptUsage
from windlass.prompt.compare import MemoryBook, compare
from windlass.prompt.promotion import earned, promote
from windlass.store import prompt_searches
from windlass.store.comparisons import of_prompt
from windlass.store.prompt_comparisons import SqlResultBook, concluded
from windlass.store.prompt_experiments import PromptExperiments


async def test_promotion_needs_proof_and_stores_it(any_store):
    any_store.ensure("p", "worse")
    any_store.add("p", "better")
    equal = await compare(OLD, NEW, CASES, Model({"worse": 0.6, "better": 0.6}), MemoryBook())
    with pytest.raises(InputError, match=r"stays as it is\. Not enough evidence"):
        promote(any_store, "p", equal.comparison)
    found = await compare(OLD, NEW, CASES, Model({"worse": 0.4, "better": 0.8}), MemoryBook())
    assert promote(any_store, "p", found.comparison, actor="me").version_no == 2
    move = any_store.log("p")[-1]
    assert (move.kind, move.actor, move.reason) == ("promote", "me", found.comparison.verdict)
    assert Comparison.from_json(json.loads(json.dumps(move.evidence))) == found.comparison
    with pytest.raises(
        PromptConflict, match="version 2 is in effect, but version 2 was compared with version 1"
    ):
        promote(any_store, "p", found.comparison)


async def test_results_are_kept_in_the_database(store):
    store.ensure("p", "worse")
    store.add("p", "better")
    model = Model({"worse": 0.4, "better": 0.8})

    def book(context="cases"):
        return SqlResultBook(store.database, "p", 1, 2, context=context)

    first = await compare(OLD, NEW, CASES, model, book(), budget_micro=100)
    assert first.ended == "budget"
    for number in range(5):  # neither version may retire, or a result lose its text
        store.add("p", f"text {number}")
    second = await compare(OLD, NEW, CASES, model, book())
    assert (second.ended, second.comparison.decision) == ("decided", "promote")
    assert set(model.calls.values()) == {1}
    assert len(book().results()) == first.ran + second.ran
    assert book("other cases").results() == {}
    assert store.get("p", 2, retired=True).prompt_content == "better"
    assert store.gc()[0] < 5
    with pytest.raises(NotFound, match="no version 99"):
        SqlResultBook(store.database, "p", 1, 99, context="").results()


@pytest.fixture
def trial(store):
    """A prompt whose version 1 is in effect and 2 to 4 are not, and a way to make runs with it."""
    store.ensure("p", "text 1")
    for number in (2, 3, 4):
        store.add("p", f"text {number}")
    numbers = count()

    def run(passing, prefix="r"):
        run_id = f"{prefix}{next(numbers)}"
        got = store.resolve("p", "text 1", run_id=run_id).version_no
        store.record_usage(PromptUsage(run_id, "s", "s/model[0]", "p", got, "", run_id, "db", cost_micro=10))
        store.record_outcome(run_id, "pass" if got in passing else "fail")
        return got

    return run


def test_runs_are_split_and_learn_but_nobody_starves(store, trial):
    experiments = PromptExperiments(store.database)
    started = experiments.start("p", [2])
    assert [(arm.version_no, arm.weight) for arm in started.arms] == [(1, 0.5), (2, 0.5)]
    got = [trial({2}) for _ in range(150)]
    assert 0.03 < got[50:].count(1) / 100 < 0.25  # the floor is 10 %
    found = experiments.status("p")
    assert found.arms[0].weight == pytest.approx(0.1)
    assert [arm.tally.passes + arm.tally.fails for arm in found.arms] == [got.count(1), got.count(2)]
    assert found.arms[1].tally.cost_micro == 10 * got.count(2)
    (comparison,) = found.comparisons
    assert comparison.only_new == min(got.count(1), got.count(2))
    assert found.winner == comparison
    promote(store, "p", comparison)
    assert store.effective("p").version_no == 2


def test_a_run_stays_in_its_arm_also_after_the_end(store, trial):
    experiments = PromptExperiments(store.database)
    experiments.start("p", [2])
    first = {
        f"run{number}": store.resolve("p", "text 1", run_id=f"run{number}").version_no for number in range(40)
    }
    assert set(first.values()) == {1, 2}
    for _ in range(30):
        trial({2})
    experiments.stop("p")
    fresh = type(store)(store.database)
    assert {run: fresh.resolve("p", "text 1", run_id=run).version_no for run in first} == first
    assert {fresh.resolve("p", "text 1", run_id=f"new{number}").version_no for number in range(10)} == {1}
    assert fresh.resolve("p", "text 1").version_no == 1
    fresh.close()


def test_several_challengers_share_the_error_rate(store, trial):
    experiments = PromptExperiments(store.database)
    started = experiments.start("p", [2, 3], alpha=0.04, cost_cap=2.0)
    assert [(each.new.version_no, each.alpha, each.cost_cap) for each in started.comparisons] == [
        (2, 0.02, 2.0),
        (3, 0.02, 2.0),
    ]
    for _ in range(30):
        trial({1, 2, 3})
    assert experiments.status("p").winner is None


def test_versions_under_trial_do_not_retire(store, trial):
    experiments = PromptExperiments(store.database)
    experiments.start("p", [2, 3])
    for number in range(5):
        store.add("p", f"more {number}")
    assert [version.version_no for version in store.versions("p")] == [1, 2, 3, 9]
    experiments.stop("p", decision="no difference")
    assert (experiments.status("p").state, experiments.status("p").decision) == ("decided", "no difference")
    store.add("p", "more")
    assert [version.version_no for version in store.versions("p")] == [1, 3, 9, 10]


def test_a_running_comparison_keeps_its_versions_too(store, trial):
    book = SqlResultBook(store.database, "p", 2, 3, context="")
    book.results()
    for number in range(5):
        store.add("p", f"more {number}")
    assert [version.version_no for version in store.versions("p")] == [1, 2, 3, 9]


def test_what_an_experiment_refuses(store, trial):
    experiments = PromptExperiments(store.database)
    with pytest.raises(NotFound, match="never an experiment"):
        experiments.status("p")
    with pytest.raises(NotFound, match="No experiment on prompt 'p' is running"):
        experiments.stop("p")
    with pytest.raises(InputError, match="at least one version of 'p' besides 1"):
        experiments.start("p", [1])
    with pytest.raises(NotFound, match="no version 9"):
        experiments.start("p", [9])
    with pytest.raises(InputError, match="between 0 and 1"):
        experiments.start("p", [2], alpha=1)
    experiments.start("p", [2])
    with pytest.raises(InputError, match="running already"):
        experiments.start("p", [3])
    with pytest.raises(NotFound, match="no prompt 'q'"):
        experiments.start("q", [2])


def test_errors_and_cancelled_runs_are_no_answers(store, trial):
    experiments = PromptExperiments(store.database)
    experiments.start("p", [2])
    for number, outcome in enumerate(["error", "cancelled", "error", "cancelled"]):
        got = store.resolve("p", "text 1", run_id=f"x{number}").version_no
        store.record_usage(PromptUsage(f"x{number}", "s", "s/m", "p", got, "", "", "db"))
        store.record_outcome(f"x{number}", outcome)
    found = experiments.status("p")
    assert sum(arm.tally.errors for arm in found.arms) == 2
    assert sum(arm.tally.passes + arm.tally.fails for arm in found.arms) == 0
    assert found.comparisons[0].pairs == 0


def comparison(old, new, wins):
    return Comparison(old=Tally(old), new=Tally(new), only_new=wins)


def test_what_counts_is_the_last_comparison_of_each_version_with_the_one_in_effect():
    proven, not_enough = comparison(1, 2, 9), comparison(1, 2, 1)
    assert earned([], 1) is None
    assert earned([comparison(2, 3, 9)], 1) is None
    assert earned([proven, comparison(1, 3, 0)], 1) == proven
    assert earned([proven, not_enough], 1) == not_enough, "trying until one comes out well does not pay"
    assert earned([not_enough, proven], 1) == proven
    assert earned([proven, comparison(1, 3, 8)], 1).new.version_no == 3
    assert earned([comparison(1, 3, 8), not_enough, proven], 1).new.version_no == 2


def test_a_version_has_learnt_from_its_cases_and_those_of_its_ancestors(store):
    store.ensure("p", "base")
    found = store.add("p", "found", origin="optimiser")
    edited = store.add("p", "edited", parent=found)
    other = store.add("p", "other", parent=1)
    for _ in range(2):
        prompt_searches.remember(store.database, "p", [found], ["a", "b"])
    prompt_searches.remember(store.database, "p", [edited], ["c"])
    learnt = [
        prompt_searches.learnt_from(store.database, "p", number) for number in (1, found, edited, other)
    ]
    assert learnt == [set(), {"a", "b"}, {"a", "b", "c"}, set()]
    with pytest.raises(NotFound, match="no version 9"):
        prompt_searches.learnt_from(store.database, "p", 9)
    assert concluded(store.database, "p") == [], "a search is no comparison"
    with store.database.reading() as connection:
        assert of_prompt(connection, "p") == []
