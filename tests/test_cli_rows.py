"""Which steps are shown where not all fit: what runs, asks or failed is never lost among what is done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli.rows import Fold, Row, fitting, tree_order

STATUSES = ("pending", "in-progress", "streaming", "finished", "error", "waiting", "skipped")
LOUD = ("in-progress", "streaming", "error", "waiting")


def rows(**statuses: str) -> list[Row]:
    return [Row(path.replace("__", "."), path, status) for path, status in statuses.items()]


def files(*statuses: str) -> list[Row]:
    return [Row(f"f[{n}]", f"Process {n}", status) for n, status in enumerate(statuses)]


def told(picked: Sequence[Row | Fold]) -> list[str]:
    return [" ".join(said for _, said in one.told()) if isinstance(one, Fold) else one.path for one in picked]


def test_sub_steps_come_after_what_they_belong_to() -> None:
    paths = ["a", "b", "a[2]", "a[10]", "b.c", "a[2].x", "ab", "a.z"]
    ordered = [row.path for row in tree_order([Row(path, path) for path in paths])]
    assert ordered == ["a", "a[2]", "a[2].x", "a[10]", "a.z", "b", "b.c", "ab"]


def test_what_fits_is_shown_as_it_is() -> None:
    given_rows = files("finished", "finished", "in-progress", "pending")
    assert fitting(given_rows, 4) == given_rows


def test_finished_and_pending_steps_become_a_line_each() -> None:
    statuses = ["finished", "error", *["finished"] * 30, "streaming", "waiting", *["pending"] * 8]
    picked = fitting(files(*statuses), 6)
    assert told(picked) == ["31 finished", "f[1]", "f[32]", "f[33]", "8 waiting"]


def test_what_is_done_is_told_first_and_what_is_to_come_last() -> None:
    statuses = ["pending", "streaming", *["finished"] * 4, "in-progress", "pending", "pending"]
    assert told(fitting(files(*statuses), 4)) == ["f[1]", "4 finished", "f[6]", "3 waiting"]


def test_no_more_is_folded_than_need_be() -> None:
    statuses = [*["finished"] * 5, "in-progress", "pending", "pending"]
    assert told(fitting(files(*statuses), 5)) == ["5 finished", "f[5]", "f[6]", "f[7]"]


def test_steps_are_folded_with_their_siblings_and_their_own_parts() -> None:
    given_rows = rows(
        a="finished", a__x="finished", b="finished", c="in-progress", c__x="finished", c__y="finished",
        c__z="in-progress", d="pending",
    )  # fmt: skip
    picked = fitting(given_rows, 5)
    assert told(picked) == ["2 finished", "c", "2 finished", "c.z", "d"]
    assert [one.depth for one in picked if isinstance(one, Fold)] == [1, 2]


def test_a_step_that_failed_is_shown_below_what_it_is_part_of() -> None:
    given_rows = rows(a="finished", a__x="error", a__y="finished", b="finished", c="finished")
    assert told(fitting(given_rows, 4)) == ["a", "a.x", "a.y", "2 finished"]


def test_where_even_these_do_not_fit_the_latest_failures_come_first() -> None:
    given_rows = files(*["error"] * 6, *["in-progress"] * 6, "waiting", *["finished"] * 9, "pending")
    for number, row in enumerate(given_rows):
        row.ended = float(-number if row.status == "error" else 0)
    picked = fitting(given_rows, 6)
    assert told(picked) == [
        "f[0]",
        "f[1]",
        "f[6]",
        "f[7]",
        "f[12]",
        "4 failed 4 running 9 finished 1 waiting",
    ]
    assert isinstance(picked[-1], Fold) and picked[-1].rest


def test_a_failure_without_a_failed_part_is_counted() -> None:
    given_rows = rows(a="error", a__x="finished", b="in-progress", c="in-progress", c__x="in-progress")
    assert told(fitting(given_rows, 3)) == ["a", "b", "1 running 1 finished"]


@given(
    st.lists(
        st.tuples(st.sampled_from(STATUSES), st.lists(st.sampled_from(STATUSES), max_size=4)), max_size=30
    ),
    st.integers(1, 40),
)
def test_any_tree_fits_and_nothing_loud_goes_untold(tree: list[tuple[str, list[str]]], height: int) -> None:
    given_rows = tree_order(
        [
            row
            for n, (status, parts) in enumerate(tree)
            for row in (Row(f"s[{n}]", "", status), *(Row(f"s[{n}].{m}", "", p) for m, p in enumerate(parts)))
        ]
    )
    picked = fitting(given_rows, height)
    assert len(picked) <= height
    shown = [one for one in picked if isinstance(one, Row)]
    assert [row for row in given_rows if row in shown] == shown
    paths = {row.path for row in shown}
    assert all(path.partition(".")[0] in paths for path in paths)
    if not any(isinstance(one, Fold) and one.rest for one in picked):
        assert all(row.path in paths for row in given_rows if row.status in LOUD)


@pytest.mark.parametrize("number", [40, 1000])
def test_a_long_list_takes_three_lines(number: int) -> None:
    statuses = [*["finished"] * number, "in-progress", *["pending"] * number]
    assert told(fitting(files(*statuses), 20)) == [f"{number} finished", f"f[{number}]", f"{number} waiting"]
