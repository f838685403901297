from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.buckets import decoded, encoded
from guard.layout import BUCKETS

SETS = st.sets(st.integers(0, BUCKETS - 1), max_size=300) | st.sets(st.integers(BUCKETS - 90, BUCKETS - 1), max_size=90)


@given(SETS)
def test_a_set_survives_its_bytes(numbers: set[int]) -> None:
    assert decoded(encoded(np.array(sorted(numbers), dtype=np.int64))).tolist() == sorted(numbers)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_large_sets_survive_theirs(step: int) -> None:
    numbers = np.arange(0, BUCKETS, step, dtype=np.int64)
    assert (decoded(encoded(numbers)) == numbers).all()


def test_it_takes_eleven_bits_a_bucket_of_a_usual_document() -> None:
    numbers = np.unique(np.random.default_rng(1).integers(0, BUCKETS, 440))
    assert len(encoded(numbers)) * 8 <= 11.5 * len(numbers)


@given(st.binary(max_size=40) | SETS.map(lambda each: encoded(np.array(sorted(each), dtype=np.int64))[:-1]))
def test_anything_else_is_no_list_or_a_list(data: bytes) -> None:
    try:
        numbers = decoded(data)
    except ValueError:
        return
    assert (np.diff(numbers) > 0).all()
    assert not len(numbers) or (numbers[0] >= 0 and numbers[-1] < BUCKETS)
