from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.significance import EXPECTED, Significance

sizes = st.integers(0, 10**12)
bits = st.floats(0, 500)


@given(sizes, sizes)
def test_a_match_counts_from_where_so_many_are_expected_by_chance(query: int, index: int) -> None:
    scale = Significance(query, index)
    assert scale.expected(scale.threshold) == pytest.approx(EXPECTED)


@given(sizes, sizes, bits, st.floats(0.1, 50))
def test_more_bits_are_less_expected(query: int, index: int, some: float, more: float) -> None:
    scale = Significance(query, index)
    assert scale.expected(some + more) < scale.expected(some)


@given(sizes, sizes, st.integers(1, 10**6))
def test_more_code_raises_the_threshold(query: int, index: int, more: int) -> None:
    scale = Significance(query, index)
    assert Significance(query, index + more).threshold >= scale.threshold
    assert Significance(query + more, index).threshold >= scale.threshold
    assert Significance(index, query).threshold == pytest.approx(scale.threshold)


def test_a_thousand_times_more_code_raises_it_by_ten_bits() -> None:
    one, other = Significance(100, 10**6), Significance(100, 10**9)
    assert other.threshold - one.threshold == pytest.approx(math.log2(1000))
    assert other.expected(40) == pytest.approx(1000 * one.expected(40))


def test_next_to_nothing_has_a_threshold_and_no_number_is_too_large() -> None:
    assert Significance(0, 0).threshold == pytest.approx(-math.log2(EXPECTED))
    assert math.isfinite(Significance(10**300, 10**300).expected(0))
