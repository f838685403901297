from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.memorization.extraction import chance_in, draws_needed


@given(st.floats(1e-3, 0.999), st.integers(1, 200))
def test_the_chance_in_n_draws(probability: float, draws: int) -> None:
    assert chance_in(draws, math.log(probability)) == pytest.approx(1 - (1 - probability) ** draws, rel=1e-9)


@given(st.floats(-60, -1e-3), st.floats(0.01, 0.99))
def test_the_draws_needed_suffice_and_fewer_do_not(logprob: float, probability: float) -> None:
    needed = draws_needed(probability, logprob)
    assert chance_in(int(needed), logprob) >= probability * (1 - 1e-9)
    assert needed == 1 or chance_in(int(needed) - 1, logprob) < probability * (1 + 1e-9)


def test_the_ends() -> None:
    assert chance_in(1, 0.0) == 1
    assert chance_in(10**6, -math.inf) == 0
    assert draws_needed(0.5, -math.inf) == math.inf
    assert draws_needed(0.5, 0.0) == 1
    with pytest.raises(ValueError, match="more than 0 and less than 1"):
        draws_needed(1.0, -1.0)


def test_what_is_far_below_a_doubles_resolution_still_counts() -> None:
    assert chance_in(10**6, -50.0) == pytest.approx(10**6 * math.exp(-50), rel=1e-6)
