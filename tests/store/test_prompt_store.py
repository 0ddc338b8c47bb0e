"""What every prompt store promises, on all of them."""

import pytest

from windlass.errors import InputError, NotFound, PromptConflict, TemplateError
from windlass.prompt import PromptUsage, VersionedPrompt

DEFAULT = "Write {{what}}"


@pytest.fixture
def prompts(any_store):
    any_store.ensure("p", DEFAULT)
    return any_store


def live(store, name="p"):
    return [version.version_no for version in store.versions(name)]


def in_effect(store, name="p"):
    return [
        version.version_no for version in store.versions(name, retired=True) if version.is_current_effective
    ]


def add(store, count=1):
    return [store.add("p", f"Version {{{{what}}}} {number}") for number in range(count)]


def usage(run_id, version_no, call="s/model[0]", **more):
    return PromptUsage(run_id, "s", call, "p", version_no, DEFAULT, "Write a poem", "db", **more)


def test_first_resolve_stores_the_default(any_store):
    first = any_store.resolve("new", DEFAULT)
    assert (first.version_no, first.content, first.source) == (1, DEFAULT, "db")
    assert any_store.get("new", 1) == VersionedPrompt(1, DEFAULT)
    assert [(s.from_version_no, s.to_version_no, s.kind) for s in any_store.log("new")] == [
        (None, 1, "initial")
    ]
    assert any_store.names() == ["new"]


def test_an_empty_default_is_never_stored(any_store):
    assert any_store.resolve("new", "").source == "default"
    assert any_store.names() == []
    with pytest.raises(TemplateError, match="cannot be empty"):
        any_store.ensure("new", " \n")


def test_a_new_version_is_not_in_effect(prompts):
    assert add(prompts) == [2]
    assert prompts.resolve("p", DEFAULT).version_no == 1
    assert prompts.latest("p").version_no == 2


def test_who_why_and_from_what(prompts):
    prompts.add(
        "p", "New {{what}}", note="shorter", author="me", origin="optimiser", parent=1, model_hint="m"
    )
    version = prompts.versions("p")[-1]
    assert (version.note, version.author, version.origin, version.parent_version_no, version.model_hint) == (
        "shorter",
        "me",
        "optimiser",
        1,
        "m",
    )
    assert version.created_at.utcoffset().total_seconds() == 0
    with pytest.raises(NotFound, match="no version 9"):
        prompts.add("p", "New {{what}}", parent=9)


def test_exactly_one_in_effect_and_a_log_of_moves(prompts):
    add(prompts, 2)
    assert prompts.use("p", 3, reason="try", actor="me").version_no == 3
    assert in_effect(prompts) == [3]
    prompts.use("p", 1)  # backwards, where a single UPDATE would break the unique index
    assert in_effect(prompts) == [1]
    prompts.use("p", 2, evidence={"e_value": 25})
    moves = [(s.from_version_no, s.to_version_no, s.kind, s.reason, s.evidence) for s in prompts.log("p")]
    assert moves[1:] == [
        (1, 3, "use", "try", None),
        (3, 1, "use", None, None),
        (1, 2, "promote", None, {"e_value": 25}),
    ]


def test_using_what_is_in_effect_changes_nothing(prompts):
    before = prompts.effective("p")
    assert prompts.use("p", 1) == before
    assert len(prompts.log("p")) == 1


def test_rollback_walks_back(prompts):
    add(prompts, 2)
    prompts.use("p", 2)
    prompts.use("p", 3)
    assert [prompts.rollback("p").version_no, prompts.rollback("p", reason="bad").version_no] == [2, 1]
    assert prompts.log("p")[-1].kind == "rollback"
    with pytest.raises(NotFound, match="no earlier live version"):
        prompts.rollback("p")
    assert in_effect(prompts) == [1]


def test_rollback_skips_retired_versions(prompts):
    add(prompts)
    prompts.use("p", 2)
    prompts.use("p", 1)
    add(prompts, 2)  # live: 1 2 3 4
    prompts.use("p", 3)
    add(prompts, 2)  # 1 and 2 are retired
    assert live(prompts) == [3, 4, 5, 6]
    with pytest.raises(NotFound, match="no earlier live version"):
        prompts.rollback("p")


def test_the_oldest_idle_version_retires_never_the_effective_one(prompts):
    add(prompts, 6)
    assert live(prompts) == [1, 5, 6, 7]
    assert in_effect(prompts) == [1]
    assert prompts.resolve("p", DEFAULT).content == DEFAULT


def test_a_retired_version_is_gone_but_its_text_is_not(prompts):
    add(prompts, 4)
    with pytest.raises(NotFound, match=r"Version 2 of prompt 'p' is retired \(live: 1, 3, 4, 5\)"):
        prompts.get("p", 2)
    with pytest.raises(NotFound, match="retired"):
        prompts.use("p", 2)
    assert prompts.get("p", 2, retired=True).prompt_content == "Version {{what}} 0"
    assert "+Version {{what}} 0" in prompts.diff("p", 1, 2)


def test_diff(prompts):
    add(prompts)
    assert prompts.diff("p", 1, 2).splitlines() == [
        "--- p@1",
        "+++ p@2",
        "@@ -1 +1 @@",
        "-Write {{what}}",
        "+Version {{what}} 0",
    ]
    assert prompts.diff("p", 1, 1) == ""


@pytest.mark.parametrize("number", [0, -1, 99])
def test_unknown_numbers(prompts, number):
    for ask in (prompts.get, prompts.use):
        with pytest.raises(NotFound, match=rf"no version {number} \(live: 1\)"):
            ask("p", number)


def test_unknown_names_suggest_known_ones(prompts):
    prompts.ensure("summary", "x")
    for ask in (
        prompts.latest,
        prompts.versions,
        prompts.log,
        prompts.stats,
        prompts.rollback,
        prompts.effective,
    ):
        with pytest.raises(NotFound, match=r"no prompt 'sumary'; did you mean summary\?"):
            ask("sumary")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot be empty"),
        (" \n\t", "cannot be empty"),
        ("x" * 1_000_001, "1,000,001 bytes; a prompt may have at most 1,000,000"),
        ("é" * 500_001, "1,000,002 bytes"),
        ("{{what}} \0", "NUL"),
        ("{{what}} \ud800", "not valid Unicode"),
        ("{{what}} {{when}}", "cannot use '{{when}}': its step gives what"),
        ("no variable", "must keep '{{what}}'"),
    ],
)
def test_texts_that_are_refused(prompts, text, sentence):
    with pytest.raises(TemplateError) as refused:
        prompts.add("p", text)
    assert sentence in str(refused.value)
    assert live(prompts) == [1]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201])
def test_names_that_are_refused(any_store, name):
    with pytest.raises(InputError, match="cannot name a prompt"):
        any_store.ensure(name, DEFAULT)


def test_two_switches_at_once(prompts):
    add(prompts, 2)
    seen = prompts.effective("p").revision
    prompts.use("p", 2, expected_revision=seen)
    with pytest.raises(PromptConflict, match="changed by someone else"):
        prompts.use("p", 3, expected_revision=seen)
    with pytest.raises(PromptConflict):
        prompts.rollback("p", expected_revision=seen)
    assert in_effect(prompts) == [2]


def test_a_run_keeps_the_version_it_got(prompts):
    add(prompts)
    assert prompts.resolve("p", DEFAULT, run_id="old").version_no == 1
    prompts.use("p", 2)
    add(prompts, 5)
    assert 1 not in live(prompts)
    assert prompts.resolve("p", DEFAULT, run_id="old").content == DEFAULT
    assert prompts.resolve("p", DEFAULT, run_id="new").version_no == 2
    assert prompts.resolve("p", DEFAULT).version_no == 2


def test_a_changed_default_is_reported_once_and_never_used(prompts, caplog):
    new = "Please write {{what}}"
    for _ in range(3):
        assert prompts.resolve("p", new).content == DEFAULT
    assert [record.getMessage() for record in caplog.records] == [
        "The default of prompt 'p' changed in the code, but the stored version stays in effect; "
        "'windlass prompts drift' shows the difference and can add it as a candidate."
    ]
    (drift,) = prompts.drift()
    assert (drift.name, drift.stored_default, drift.code_default) == ("p", DEFAULT, new)
    assert prompts.adopt_default("p") == 2
    assert (prompts.get("p", 2).prompt_content, in_effect(prompts), list(prompts.drift())) == (new, [1], [])
    with pytest.raises(InputError, match="has not changed"):
        prompts.adopt_default("p")


def test_outcomes_are_credited_to_the_versions_a_run_used(prompts):
    add(prompts)
    for run, version, outcome in [
        ("a", 1, "pass"),
        ("b", 1, "fail"),
        ("c", 2, "error"),
        ("d", 2, "cancelled"),
    ]:
        prompts.record_usage(usage(run, version, cost_micro=40))
        prompts.record_usage(usage(run, version, "s/model[1]", cost_micro=60))
        assert prompts.record_outcome(run, outcome, scored_by="tests") == 2
    prompts.record_usage(usage("e", 2))
    one, two = prompts.stats("p")
    assert (one.calls, one.passes, one.fails, one.cost_micro) == (4, 1, 1, 200)
    assert (one.pass_rate, one.cost_per_success_micro) == (0.5, 200)
    assert (two.errors, two.cancelled, two.pending, two.pass_rate, two.cost_per_success_micro) == (
        1,
        1,
        1,
        None,
        None,
    )
    assert one.interval[0] < 0.5 < one.interval[1]


def test_runs_that_try_a_version_on_a_case_are_no_real_runs(prompts):
    prompts.record_run("real", [usage("real", 1, cost_micro=7)], "pass")
    prompts.record_run("trial", [usage("trial", 1, cost_micro=9, case_id="c")], "fail")
    (stats,) = prompts.stats("p")
    assert (stats.passes, stats.fails, stats.calls, stats.cost_per_success_micro) == (1, 0, 1, 7)
    assert [each.outcome for each in prompts.usages("trial")] == ["fail"]


def test_a_price_that_is_not_known_makes_the_cost_of_a_success_unknown(prompts):
    prompts.record_run("r", [usage("r", 1, cost_micro=7), usage("r", 1, "s/model[1]")], "pass")
    (stats,) = prompts.stats("p")
    assert (stats.cost_micro, stats.unpriced, stats.cost_per_success_micro) == (7, 1, None)


def test_a_decided_run_stays_decided_when_a_call_comes_late(prompts):
    prompts.record_usage(usage("a", 1))
    prompts.record_outcome("a", "pass")
    prompts.record_usage(usage("a", 1, "s/model[9]"))
    assert [(s.passes, s.pending, s.calls) for s in prompts.stats("p")] == [(1, 0, 2)]


def test_the_same_call_told_twice_is_one_call_with_all_its_figures(prompts):
    prompts.record_usage(usage("a", 1, model="m"))
    prompts.record_usage(usage("a", 1, tokens_in=3, tokens_out=5, cost_micro=7, latency_ms=9))
    assert prompts.usages("a") == [
        usage("a", 1, model="m", tokens_in=3, tokens_out=5, cost_micro=7, latency_ms=9)
    ]


def test_the_exact_text_sent_can_be_shown_after_retirement(prompts):
    prompts.record_usage(usage("a", 1))
    add(prompts)
    prompts.use("p", 2)
    add(prompts, 5)
    (shown,) = prompts.usages("a")
    assert (shown.version_no, shown.template, shown.rendered) == (1, DEFAULT, "Write a poem")
    assert prompts.usages("nobody") == []


def test_a_whole_run_is_recorded_at_once(prompts):
    calls = [usage("a", 1, f"s/model[{number}]", cost_micro=5) for number in range(3)]
    assert prompts.record_run("a", calls, "pass", scored_by="tests") == 3
    assert [(s.calls, s.passes, s.cost_micro) for s in prompts.stats("p")] == [(3, 1, 15)]
    assert prompts.record_run("a", calls, "fail") == 3  # a person looked again
    assert [(s.calls, s.passes, s.fails) for s in prompts.stats("p")] == [(3, 0, 1)]
    with pytest.raises(InputError, match="no outcome"):
        prompts.record_run("b", [usage("b", 1)], "passed")
    assert prompts.usages("b") == []


def test_unknown_outcome(prompts):
    with pytest.raises(InputError, match="'passed' is no outcome"):
        prompts.record_outcome("a", "passed")
