"""Comparing versions on cases: what is run, what is kept, when it ends, and what may be promoted."""

import asyncio
from collections import Counter
from random import Random

import pytest

from windlass.errors import BudgetExceeded, InputError, ModelUnavailable, NotFound
from windlass.prompt import MemoryPromptStore, VersionedPrompt
from windlass.prompt.cases import Case, CaseResult, cases_digest, hold_out, load_cases
from windlass.prompt.compare import MemoryBook, compare
from windlass.prompt.optimise import Reflected

OLD, NEW = VersionedPrompt(1, "worse"), VersionedPrompt(2, "better")
CASES = [Case(str(number)) for number in range(200)]


class Model:
    """Passes a share of the cases that depends on the text; a case's difficulty is its own."""

    def __init__(self, rates, cost=10, seed=1):
        self.rates, self.cost, self.calls = rates, cost, Counter()
        draw = Random(seed)
        self.difficulty = {case.id: draw.random() for case in CASES}

    async def __call__(self, text, case):
        self.calls[text, case.id] += 1
        await asyncio.sleep(0)
        passed = self.difficulty[case.id] < self.rates[text]
        return CaseResult("pass" if passed else "fail", self.cost)


async def test_the_better_version_is_found_and_it_stops_there():
    model = Model({"worse": 0.4, "better": 0.8})
    found = await compare(OLD, NEW, CASES, model, MemoryBook())
    assert (found.ended, found.comparison.decision) == ("decided", "promote")
    assert found.comparison.e_value >= 20
    assert found.ran == len(model.calls) < 100
    assert set(model.calls.values()) == {1}
    assert found.spent_micro == 10 * found.ran


async def test_the_worse_version_is_found():
    found = await compare(OLD, NEW, CASES, Model({"worse": 0.8, "better": 0.4}), MemoryBook())
    assert (found.ended, found.comparison.decision) == ("decided", "worse")
    assert "Version 2 is worse than version 1" in found.comparison.verdict


async def test_equal_versions_are_run_to_the_end():
    found = await compare(OLD, NEW, CASES, Model({"worse": 0.6, "better": 0.6}), MemoryBook())
    assert (found.ended, found.ran, found.comparison.decision) == ("all cases", 400, "not enough")
    assert found.comparison.pairs == 200
    assert "no sign so far" in found.comparison.verdict


async def test_no_more_run_side_by_side_than_asked():
    running = most = 0

    async def run_case(text, case):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return CaseResult("pass")

    await compare(OLD, NEW, CASES[:20], run_case, MemoryBook(), side_by_side=3)
    assert most == 6  # three cases, both versions of each


async def test_a_stopped_comparison_goes_on_where_it_was():
    book, model = MemoryBook(), Model({"worse": 0.5, "better": 0.6})
    first = await compare(OLD, NEW, CASES, model, book, budget_micro=1000)
    assert first.ended == "budget"
    assert 800 <= first.spent_micro <= 1000
    second = await compare(OLD, NEW, CASES, model, book, until_decided=False)
    assert (second.ended, first.ran + second.ran) == ("all cases", 400)
    assert set(model.calls.values()) == {1}


async def test_what_was_running_when_it_was_cancelled_is_run_again_the_rest_not():
    book, hold = MemoryBook(), asyncio.Event()

    async def run_case(text, case):
        if case.id == "3":
            await hold.wait()
        return CaseResult("pass", 1)

    task = asyncio.create_task(compare(OLD, NEW, CASES[:10], run_case, book, side_by_side=1))
    while len(book.results()) < 6:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hold.set()
    found = await compare(OLD, NEW, CASES[:10], run_case, book)
    assert (found.ran, found.comparison.both) == (14, 10)


async def test_errors_are_not_answers_and_are_tried_again():
    book, down = MemoryBook(), True

    async def run_case(text, case):
        if down and case.id in ("2", "5"):
            raise ModelUnavailable("no connection")
        return CaseResult("pass", 1)

    first = await compare(OLD, NEW, CASES[:10], run_case, book)
    assert (first.comparison.pairs, first.comparison.old.errors, first.comparison.new.errors) == (8, 2, 2)
    assert first.comparison.old.pass_rate == 1
    assert book.results()["2", 1] == CaseResult("error", None, "no connection")
    down = False
    second = await compare(OLD, NEW, CASES[:10], run_case, book)
    assert (second.ran, second.comparison.pairs, second.comparison.old.errors) == (4, 10, 0)


async def test_budget_exceeded_ends_it_and_keeps_what_is_there():
    async def run_case(text, case):
        if int(case.id) >= 4:
            raise BudgetExceeded("no more")
        return CaseResult("pass", 1)

    book = MemoryBook()
    found = await compare(OLD, NEW, CASES, run_case, book, side_by_side=1)
    assert (found.ended, found.comparison.pairs, book.comparison) == ("budget", 4, found.comparison)


async def test_a_bug_in_the_caller_is_not_taken_for_an_answer():
    async def run_case(text, case):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await compare(OLD, NEW, CASES, run_case, MemoryBook())


async def test_quick_cases_do_not_decide_before_slow_ones():
    # The new version fails exactly where it is slow.
    release = asyncio.Event()

    async def run_case(text, case):
        if text == "worse":
            return CaseResult("fail" if int(case.id) % 2 else "pass")
        if int(case.id) % 2 == 0:
            await release.wait()
            return CaseResult("fail")
        return CaseResult("pass")

    async def soon():
        await asyncio.sleep(0.05)
        release.set()

    task = asyncio.create_task(soon())
    found = await compare(OLD, NEW, CASES[:40], run_case, MemoryBook(), side_by_side=40)
    await task
    assert found.ended == "all cases"
    assert (found.comparison.decision, found.comparison.only_new, found.comparison.only_old) == (
        "not enough",
        20,
        20,
    )


async def test_what_was_running_may_undo_a_decision():
    async def run_case(text, case):
        new_is_better = int(case.id) < 7
        if not new_is_better:
            await asyncio.sleep(0.02)
        return CaseResult("pass" if (text == "better") == new_is_better else "fail")

    found = await compare(OLD, NEW, CASES[:20], run_case, MemoryBook(), side_by_side=12)
    assert (found.ended, found.ran, found.comparison.decision) == ("all cases", 40, "not enough")


async def test_cost_cap():
    async def run_case(text, case):
        passed = text == "better"
        return CaseResult("pass" if passed or case.id < "3" else "fail", 100 if passed else 10)

    found = await compare(OLD, NEW, CASES[:40], run_case, MemoryBook(), cost_cap=1.5)
    assert found.comparison.decision == "too expensive"
    assert "a success costs" in found.comparison.verdict


async def test_bad_requests():
    with pytest.raises(InputError, match="same id"):
        await compare(OLD, NEW, [Case("a"), Case("a")], Model({}), MemoryBook())
    with pytest.raises(InputError, match="with itself"):
        await compare(OLD, OLD, CASES, Model({}), MemoryBook())


def test_load_cases(tmp_path):
    file = tmp_path / "cases.jsonl"
    file.write_text('{"id": "a", "x": 1}\n\n{"x": 2}\n')
    assert load_cases(file) == [Case("a", {"id": "a", "x": 1}), Case("3", {"x": 2})]
    for content, sentence in [
        (b"{", "Line 1 of .* is not JSON"),
        (b"[]", "Line 1 .* must be a JSON object"),
        (b'{"id": 1}\n{"id": "1"}', "Line 2 .* the id '1' is used twice"),
        (b"\n", "holds no cases"),
        (b"\xff", "no UTF-8"),
    ]:
        file.write_bytes(content)
        with pytest.raises(InputError, match=sentence):
            load_cases(file)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_cases(tmp_path / "none")


def test_hold_out_splits_the_same_way_every_time():
    learn, held = hold_out(CASES, share=0.25)
    assert (len(learn), len(held)) == (150, 50)
    assert {case.id for case in learn} | {case.id for case in held} == {case.id for case in CASES}
    assert hold_out(list(reversed(CASES)), share=0.25) == (learn, held)
    assert hold_out(CASES, share=0.25, seed=1)[1] != held
    assert [len(part) for part in hold_out(CASES[:2], share=0.01)] == [1, 1]
    with pytest.raises(InputError, match="At least two cases"):
        hold_out(CASES[:1])


def test_the_digest_tells_other_cases_apart():
    assert cases_digest(CASES[:2]) == cases_digest([Case("0"), Case("1")])
    assert len({cases_digest(each) for each in (CASES[:1], CASES[:2], [Case("0", {"a": 1})])}) == 3


class TestOptimise:
    """The search, offline: a scripted reflection, a judge that counts the words a text has."""

    WORDS = ("short", "polite", "exact")

    def cases(self):
        return [Case(f"{word}{number}", {"wants": word}) for number in range(6) for word in self.WORDS]

    async def run_case(self, text, case):
        return CaseResult(
            "pass" if case.data["wants"] in text else "fail", 5, f"said without {case.data['wants']}"
        )

    def reflecting(self, wrap="```\n{}\n```"):
        seen = []

        async def reflect(prompt):
            seen.append(prompt)
            missing = [word for word in self.WORDS if f"said without {word}" in prompt]
            text = wrap.format(f"Answer {{{{question}}}}: {' '.join(['be', *missing, *self.kept(prompt)])}")
            return Reflected(text, 2)

        reflect.seen = seen
        return reflect

    def kept(self, prompt):
        return [word for word in self.WORDS if f"be {word}" in prompt or f" {word}\n" in prompt]

    def new_store(self):
        store = MemoryPromptStore()
        store.ensure("p", "Answer {{question}}")
        return store

    async def test_candidates_come_in_with_lineage_and_not_in_effect(self):
        from windlass.prompt.optimise import optimise

        store, reflect = self.new_store(), self.reflecting()
        found = await optimise(
            store, "p", self.cases(), self.run_case, reflect, max_case_runs=150, author="me"
        )
        assert (found.base_version_no, found.base_score) == (1, 0.0)
        assert found.candidates
        assert all(each.score > 0 for each in found.candidates)
        assert len(found.candidates) <= 2
        versions = {version.version_no: version for version in store.versions("p")}
        for each in found.candidates:
            version = versions[each.version_no]
            assert (version.origin, version.author, version.is_current_effective) == (
                "optimiser",
                "me",
                False,
            )
            assert version.parent_version_no == each.parent_version_no in versions
            assert version.note.startswith(f"GEPA: {each.score:.2f} against 0.00 on 9 cases")
            assert "{{question}}" in version.content
        assert store.effective("p").version_no == 1
        assert found.spent_micro == 5 * found.case_runs + 2 * len(reflect.seen)
        assert found.case_runs <= 150 + 18
        assert any("said without short" in prompt for prompt in reflect.seen)

    async def test_a_text_that_drops_its_variable_never_runs(self):
        from windlass.prompt.optimise import optimise

        store, ran = self.new_store(), set()

        async def run_case(text, case):
            ran.add(text)
            return await self.run_case(text, case)

        async def reflect(prompt):
            return Reflected("```\nbe short polite exact\n```")

        found = await optimise(store, "p", self.cases(), run_case, reflect, max_case_runs=60)
        assert ran == {"Answer {{question}}"}
        assert found.candidates == []
        assert len(store.versions("p")) == 1

    async def test_the_budget_ends_the_search(self):
        from windlass.prompt.optimise import optimise

        found = await optimise(
            self.new_store(),
            "p",
            self.cases(),
            self.run_case,
            self.reflecting(),
            budget_micro=100,
            max_case_runs=10_000,
        )
        assert 100 <= found.spent_micro < 500

    async def test_without_a_reflecting_model_it_says_so(self):
        from windlass.prompt.optimise import optimise

        async def reflect(prompt):
            raise ModelUnavailable("no connection")

        store = self.new_store()
        with pytest.raises(ModelUnavailable, match="no connection"):
            await optimise(store, "p", self.cases(), self.run_case, reflect, max_case_runs=10_000)
        assert len(store.versions("p")) == 1

    async def test_bad_requests(self):
        from windlass.prompt.optimise import optimise

        with pytest.raises(InputError, match="At least two cases"):
            await optimise(self.new_store(), "p", self.cases()[:1], self.run_case, self.reflecting())
        with pytest.raises(NotFound, match="no prompt 'q'"):
            await optimise(self.new_store(), "q", self.cases(), self.run_case, self.reflecting())
