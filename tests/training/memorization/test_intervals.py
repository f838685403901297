from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.memorization.intervals import compared, mean_by_file, share_by_file, wilson
from training.memorization.membership import auc

PARTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted).map(tuple), min_size=1, max_size=20)


@given(st.integers(1, 500).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilsons_limits_solve_the_equation_of_the_score(pair: tuple[int, int]) -> None:
    successes, trials = pair
    found = wilson(successes, trials)
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    z = 1.959963984540054
    for limit in (found.low, found.high):
        if 0 < limit < 1:
            score = abs(found.value - limit) / math.sqrt(limit * (1 - limit) / trials)
            assert score == pytest.approx(z, rel=1e-6)


def test_wilson_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for successes, trials in ((0, 10), (1, 7), (50, 100), (999, 1000)):
        found = wilson(successes, trials)
        limits = stats.binomtest(successes, trials).proportion_ci(method="wilson")
        assert found is not None
        assert (found.low, found.high) == pytest.approx((limits.low, limits.high), abs=1e-9)


def test_nothing_tried_is_no_share() -> None:
    assert wilson(0, 0) is None
    assert share_by_file([]) is None
    assert share_by_file([(0, 0)]) is None
    assert mean_by_file([]) is None
    assert compared(auc, [], [1.0]) is None


def test_more_successes_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        wilson(3, 2)


@given(PARTS)
def test_a_share_lies_within_its_limits_and_is_the_sum_over_the_sum(parts: list[tuple[int, int]]) -> None:
    found = share_by_file(parts)
    whole = sum(part[1] for part in parts)
    if not whole:
        assert found is None
        return
    assert found is not None
    assert found.value == pytest.approx(sum(part[0] for part in parts) / whole)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.count == whole


def test_files_are_drawn_and_not_lines() -> None:
    by_line = wilson(500, 1000)
    in_two_files = share_by_file([(500, 500), (0, 500)])
    assert by_line is not None
    assert in_two_files is not None
    assert (in_two_files.low, in_two_files.high) == (0, 1)
    assert by_line.high - by_line.low < 0.1


def test_files_that_all_say_the_same_still_leave_doubt() -> None:
    found = share_by_file([(0, 1000)] * 5)
    assert found is not None
    assert found.low == 0
    assert 0.3 < found.high < 0.6


def test_the_bootstrap_of_a_mean_is_about_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    found = mean_by_file([(float(value), 1.0) for value in values])
    assert found is not None
    reach = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    assert found.high - found.low == pytest.approx(2 * reach, rel=0.1)


def test_equal_seeds_give_equal_limits() -> None:
    parts = [(1.0, 4.0), (3.0, 4.0), (0.0, 2.0)]
    assert share_by_file(parts, 5) == share_by_file(parts, 5)
