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


@given(SETS.filter(len), st.data())
def test_a_list_with_other_bytes_is_no_list_or_another_set(numbers: set[int], data: st.DataObject) -> None:
    raw = bytearray(encoded(np.array(sorted(numbers), dtype=np.int64)))
    raw[data.draw(st.integers(3, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        again = decoded(bytes(raw))
    except ValueError as error:
        assert "list of buckets" in str(error)  # noqa: PT017 - else it would be numpy's
        return
    assert len(again) == len(numbers)
    assert decoded(encoded(again)).tolist() == again.tolist()


@pytest.mark.parametrize(
    "data",
    [
        encoded(np.array([1, 2, 3]))[:-1] + b"\0",  # fewer marks than numbers
        encoded(np.array([5, 5])),  # twice the same
        encoded(np.array([5])) + b"\0",
        b"\xff\xff\xff",
        b"",
    ],
)
def test_lists_that_contradict_themselves_are_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="list of buckets"):
        decoded(data)
