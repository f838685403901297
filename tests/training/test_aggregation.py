from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.aggregation import Factors, add, average_factors, mean_update, residual, shares, stack
from training.errors import AggregationError


def adapter(draw: np.random.Generator, shape: tuple[int, int], rank: int, dtype: type = np.float32) -> Factors:
    up, down = draw.normal(size=(shape[0], rank)), draw.normal(size=(rank, shape[1]))
    return Factors(up.astype(dtype), down.astype(dtype), 32 / rank)


@st.composite
def adapters(draw: st.DrawFn, *, same_rank: bool = False) -> tuple[list[Factors], list[float]]:
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    count = draw(st.integers(1, 6))
    rank = draw(st.integers(1, 16))
    ranks = [rank if same_rank else draw(st.integers(1, 16)) for _ in range(count)]
    weights = [float(draw(st.integers(1, 10_000))) for _ in range(count)]
    return [adapter(generator, shape, one) for one in ranks], weights


def off(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@given(adapters())
@settings(deadline=None)
def test_stacked_factors_are_the_mean_of_the_full_updates(drawn: tuple[list[Factors], list[float]]) -> None:
    updates, weights = drawn
    assert off(stack(updates, weights).dense(), mean_update(updates, weights)) <= 1e-6


@given(adapters(same_rank=True))
@settings(deadline=None)
def test_averaged_factors_and_their_residual_are_the_mean_of_the_full_updates(
    drawn: tuple[list[Factors], list[float]],
) -> None:
    updates, weights = drawn
    mean, rest = residual(updates, weights)
    assert off(mean.dense() + rest, mean_update(updates, weights)) <= 1e-6


@given(adapters())
@settings(deadline=None)
def test_a_compact_update_is_the_same_at_no_more_than_the_matrix_rank(drawn: tuple[list[Factors], list[float]]) -> None:
    stacked = stack(*drawn)
    compact, error = stacked.compact()
    assert compact.rank <= min(*stacked.shape, stacked.rank)
    assert error <= 1e-8
    assert off(compact.dense(), stacked.dense()) <= 1e-6


@given(adapters(), st.integers(1, 8))
@settings(deadline=None)
def test_the_error_told_of_a_smaller_rank_is_the_error_made(
    drawn: tuple[list[Factors], list[float]], rank: int
) -> None:
    stacked = stack(*drawn)
    compact, error = stacked.compact(rank)
    assert compact.rank <= rank
    assert off(compact.dense(), stacked.dense()) == pytest.approx(error, abs=1e-6)


@given(adapters())
@settings(deadline=None)
def test_the_norm_by_factors_is_that_of_the_product(drawn: tuple[list[Factors], list[float]]) -> None:
    for update in drawn[0]:
        assert update.norm() == pytest.approx(np.linalg.norm(update.dense()), rel=1e-5)


def test_averaging_factors_alone_is_far_from_the_mean() -> None:
    generator = np.random.default_rng(0)
    updates = [adapter(generator, (64, 64), 16) for _ in range(3)]
    naive = average_factors(updates, [1, 1, 1]).dense()
    assert off(naive, mean_update(updates, [1, 1, 1])) > 0.5


def test_rounds_add_up() -> None:
    generator = np.random.default_rng(1)
    first, second = adapter(generator, (8, 9), 3), adapter(generator, (8, 9), 5)
    assert off(add(first, second).dense(), first.dense() + second.dense()) <= 1e-6


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_weights_without_a_mean_are_refused(weights: list[float]) -> None:
    with pytest.raises(AggregationError, match="have no mean"):
        shares(weights)


def test_updates_of_different_matrices_and_averages_of_different_ranks_are_refused() -> None:
    generator = np.random.default_rng(2)
    with pytest.raises(AggregationError, match="not of one matrix"):
        stack([adapter(generator, (3, 4), 2), adapter(generator, (4, 4), 2)], [1, 1])
    with pytest.raises(AggregationError, match="stack them instead"):
        residual([adapter(generator, (3, 4), 2), adapter(generator, (3, 4), 1)], [1, 1])
    with pytest.raises(AggregationError, match="no product"):
        Factors(np.zeros((3, 2)), np.zeros((1, 4)))
