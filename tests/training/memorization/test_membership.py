from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.memorization.intervals import compared
from training.memorization.membership import auc, roc, scores, true_positives

SAMPLES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(SAMPLES, SAMPLES)
def test_the_auc_counts_pairs(members: list[float], others: list[float]) -> None:
    pairs = [(one > other) + (one == other) / 2 for one in members for other in others]
    assert auc(members, others) == pytest.approx(sum(pairs) / len(pairs))
    assert auc(others, members) == pytest.approx(1 - auc(members, others))


@given(SAMPLES, SAMPLES)
def test_the_auc_is_the_area_under_the_curve(members: list[float], others: list[float]) -> None:
    false, true = roc(members, others)
    assert (false[0], true[0]) == (0, 0)
    assert (false[-1], true[-1]) == (1, 1)
    assert np.trapezoid(true, false) == pytest.approx(auc(members, others))


@given(SAMPLES, st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=300), st.sampled_from([0.01, 0.1, 0.5]))
def test_true_positives_are_those_of_the_best_threshold_allowed(
    members: list[float], others: list[float], rate: float
) -> None:
    allowed = [
        np.mean([one > threshold for one in members])
        for threshold in [-10.0, *others]
        if np.mean([other > threshold for other in others]) <= rate
    ]
    assert true_positives(members, others, rate) == pytest.approx(max(allowed))


def test_what_cannot_be_told_apart_has_half_the_area() -> None:
    draw = np.random.default_rng(0)
    found = compared(auc, draw.normal(size=600).tolist(), draw.normal(size=600).tolist())
    assert found is not None
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.1


def test_what_is_apart_is_told_apart() -> None:
    found = compared(auc, [3.0, 4.0], [1.0, 2.0])
    assert found is not None
    assert (found.value, found.low, found.high) == (1, 1, 1)
    assert true_positives([3.0, 4.0], [1.0, 2.0]) == 1


def test_scores_rise_with_likelihood() -> None:
    text = "def f(x):\n    return x\n"
    known, unknown = scores([-0.1] * 10, text), scores([-3.0] * 10, text)
    assert known.loss > unknown.loss
    assert known.zlib > unknown.zlib
    assert known.min_k > unknown.min_k


def test_min_k_looks_at_the_least_likely_tokens() -> None:
    assert scores([-1.0] * 8 + [-5.0, -7.0], "text").min_k == pytest.approx(-6)
    assert scores([-2.0], "text").min_k == pytest.approx(-2)


def test_a_text_without_tokens_has_no_score() -> None:
    with pytest.raises(ValueError, match="without tokens"):
        scores([], "")
