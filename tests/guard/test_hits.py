from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.hits import Hits, owner_number, picked
from guard.layout import ENTRY, REMAINDER_BITS

REMAINDERS = st.sampled_from([0, 1, 0x010000, 0xFFFFFF]) | st.integers(0, (1 << REMAINDER_BITS) - 1)
POSTINGS = st.sampled_from([0, 1 << 24]) | st.integers(0, (1 << 64) - 1)
BUCKETS = st.none() | st.lists(st.tuples(REMAINDERS, POSTINGS), min_size=1, max_size=6)


def packed(bucket: list[tuple[int, int]] | None) -> bytes | None:
    if bucket is None:
        return None
    return b"".join(remainder.to_bytes(3, "little") + posting.to_bytes(8, "little") for remainder, posting in bucket)


@given(st.lists(st.tuples(REMAINDERS, BUCKETS), max_size=8), st.data())
def test_of_a_bucket_the_entries_of_the_name_are_picked(
    asked: list[tuple[int, list[tuple[int, int]] | None]], data: st.DataObject
) -> None:
    """Whatever else the bucket holds, and in however many parts the answer comes."""
    names = np.array([name for name, _ in asked], dtype=np.uint64)
    wanted = [
        (i, posting)
        for i, (name, bucket) in enumerate(asked)
        for remainder, posting in bucket or []
        if remainder == name
    ]
    nodes = data.draw(st.lists(st.integers(0, 2), min_size=len(asked), max_size=len(asked)))
    parts = []
    for node in range(3):
        places = np.flatnonzero(np.array(nodes, dtype=np.int64) == node)
        parts.append((places, [packed(asked[place][1]) for place in places]))
    which, postings = picked(names, parts)
    assert list(zip(which.tolist(), postings.tolist(), strict=True)) == wanted
    everything = picked(names, [(np.arange(len(asked)), [packed(bucket) for _, bucket in asked])])
    assert everything[0].tolist() == which.tolist()
    assert everything[1].tolist() == postings.tolist()


@pytest.mark.parametrize("damaged", [b"", b"x", b"x" * (ENTRY - 1), b"x" * (ENTRY + 1)])
def test_a_damaged_bucket_is_none(damaged: bytes) -> None:
    names, places = np.zeros(2, dtype=np.uint64), np.arange(2)
    with pytest.raises(ValueError, match="damaged"):
        picked(names, [(places, [b"x" * ENTRY, damaged])])


@given(st.lists(POSTINGS, max_size=5))
def test_a_posting_is_owner_serial_position_and_agreement(postings: list[int]) -> None:
    hits = Hits(np.arange(len(postings)), np.array(postings, dtype=np.uint64), 1, 1)
    for posting, document, position, agreement in zip(
        postings, hits.documents.tolist(), hits.positions.tolist(), hits.agreement.tolist(), strict=True
    ):
        assert owner_number(document) == posting & 0xFFFF
        assert document & 0xFFFFFF == posting >> 16 & 0xFFFFFF
        assert (position, agreement) == (posting >> 40 & 0xFFFF, posting >> 56)
