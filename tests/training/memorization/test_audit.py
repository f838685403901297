from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.memorization.audit import audit, binomial, chance, epsilon_bound


@given(st.integers(0, 60), st.floats(0.01, 0.99))
def test_the_binomial_is_the_binomial(trials: int, share: float) -> None:
    expected = [math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(trials + 1)]
    assert binomial(trials, share).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_the_binomial_of_certainty() -> None:
    assert binomial(3, 1.0).tolist() == [0, 0, 0, 1]


def test_without_delta_the_chance_is_the_tail_of_the_binomial() -> None:
    stats = pytest.importorskip("scipy.stats")
    for epsilon, right in ((0.0, 40), (1.0, 70), (3.0, 90)):
        tail = stats.binom.sf(right - 1, 100, 1 / (1 + math.exp(-epsilon)))
        assert chance(100, 100, right, epsilon, 0) == pytest.approx(tail, rel=1e-9)


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(0, 4))
def test_the_chance_rises_with_epsilon_and_delta(pair: tuple[int, int], epsilon: float) -> None:
    guesses, right = pair
    assert chance(50, guesses, right, epsilon + 0.5, 1e-5) >= chance(50, guesses, right, epsilon, 1e-5) - 1e-12
    assert chance(50, guesses, right, epsilon, 1e-3) >= chance(50, guesses, right, epsilon, 0)


def test_all_right_bounds_epsilon_as_the_coins_say() -> None:
    # r right of r have chance q**r; q = 0.05**(1/r).
    share = 0.05 ** (1 / 100)
    assert epsilon_bound(100, 100, 100, 0, 0.05) == pytest.approx(math.log(share / (1 - share)), abs=1e-3)


def test_guessing_at_random_bounds_nothing() -> None:
    assert epsilon_bound(200, 200, 100, 1e-5, 0.05) == 0


def test_canaries_that_stand_out_are_told_and_others_are_not() -> None:
    draw = np.random.default_rng(3)
    coins = (draw.random(400) < 0.5).tolist()
    noise = draw.normal(size=400)
    certain = audit([10.0 * coin + one for coin, one in zip(coins, noise, strict=True)], coins)
    blind = audit(noise.tolist(), coins)
    assert certain is not None
    assert blind is not None
    assert certain.epsilon > 3
    assert blind.epsilon < 0.5


def test_equal_scores_do_not_give_the_coins_away() -> None:
    found = audit([0.0] * 400, [True] * 200 + [False] * 200)
    assert found is not None
    assert found.epsilon < 0.5


def test_one_canary_is_no_audit() -> None:
    assert audit([1.0], [True]) is None
