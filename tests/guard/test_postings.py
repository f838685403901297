from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.digest import Digest, Digester
from guard.fingerprint import Fingerprints
from guard.minhash import BANDS, PERMUTATIONS, Fragments
from guard.postings import POSITION_LIMIT, packed
from guard.secret import IndexKey

MOST = 4
PLACES = st.integers(0, POSITION_LIMIT + 3)


def digest_of(prints: list[tuple[int, int]], windows: list[tuple[int, list[int]]]) -> Digest:
    fingerprints = Fingerprints(
        hashes=np.array([name for name, _ in prints], dtype=np.uint64),
        positions=np.array([position for _, position in prints], dtype=np.int32),
        exact=np.zeros(len(prints), dtype=np.bool_),
    )
    starts = np.array([start for start, _ in windows], dtype=np.int32)
    fragments = Fragments(
        starts=starts,
        ends=starts + 1,
        signatures=np.zeros((len(windows), PERMUTATIONS), dtype=np.uint8),
        bands=np.array([bands for _, bands in windows], dtype=np.uint64).reshape(len(windows), BANDS),
    )
    return Digest("path.py", "python", bytes(8), 1, fingerprints, fragments)


def unpacked(entries: bytes) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    at = 0
    while at < len(entries):
        name, count = int.from_bytes(entries[at : at + 8], "little"), entries[at + 8]
        assert name not in found
        places = entries[at + 9 : at + 9 + 3 * count]
        found[name] = [int.from_bytes(places[i : i + 3], "little") for i in range(0, len(places), 3)]
        at += 9 + 3 * count
    return found


def expected(digest: Digest) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for name, position in zip(digest.fingerprints.hashes.tolist(), digest.fingerprints.positions.tolist(), strict=True):
        found.setdefault(name, []).append(position)
    for names, start in zip(digest.fragments.bands.tolist(), digest.fragments.starts.tolist(), strict=True):
        for name in names:
            found.setdefault(name, []).append(start)
    near = {name: [place for place in places if place < POSITION_LIMIT][:MOST] for name, places in found.items()}
    return {name: places for name, places in near.items() if places}


@given(
    prints=st.lists(st.tuples(st.integers(0, 9) | st.integers(0, 2**64 - 1), PLACES), max_size=40),
    windows=st.lists(
        st.tuples(PLACES, st.lists(st.integers(0, 40), min_size=BANDS, max_size=BANDS)),
        max_size=5,
    ),
)
def test_every_name_keeps_its_first_places(prints: list[tuple[int, int]], windows: list[tuple[int, list[int]]]) -> None:
    digest = digest_of(prints, windows)
    assert unpacked(packed(digest, MOST)) == expected(digest)


def test_a_document_without_a_fingerprint_has_no_entry() -> None:
    assert packed(Digester(IndexKey(bytes(32))).digest("empty.py", "x = 1\n", "python"), MOST) == b""


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_name_keeps_no_more_places_than_it_may(most: int) -> None:
    digest = digest_of([(7, place) for place in range(10)], [])
    assert unpacked(packed(digest, most)) == {7: list(range(most))}
