from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guard.winnowing import W, winnow

# Few different values, so that many are equal; and any at all.
values = st.lists(st.integers(0, 5) | st.integers(0, 2**64 - 1), max_size=120)


def winnowed(order: list[int]) -> list[int]:
    positions: list[int] = winnow(np.array(order, dtype=np.uint64)).tolist()
    return positions


@given(values)
def test_the_rightmost_minimum_of_every_window_is_kept(order: list[int]) -> None:
    kept = set()
    for start in range(max(1, len(order) - W + 1)):
        window = order[start : start + W]
        if window:
            kept.add(start + max(at for at, value in enumerate(window) if value == min(window)))
    assert winnowed(order) == sorted(kept)


@given(values, st.lists(st.integers(0, 99), min_size=W, max_size=30), values)
def test_shared_values_keep_a_common_one(before: list[int], shared: list[int], after: list[int]) -> None:
    one = {at - len(before) for at in winnowed(before + shared)}
    other = set(winnowed(shared + after))
    for start in range(len(shared) - W + 1):
        assert one & other & set(range(start, start + W))
