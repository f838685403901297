from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.stored import kept

from guard.digest import Digest, Digester
from guard.fingerprint import Fingerprints
from guard.layout import KEY, NAME_BITS, bucket_keys, bucket_prefix, document_id, document_key
from guard.minhash import BANDS, STRIDE, Fragments
from guard.names import Names
from guard.postings import POSITIONS, POSTINGS_A_DOCUMENT, TABLE_ROWS, buckets_of, postings_of
from guard.secret import IndexKey

PLACES = st.integers(0, 60) | st.integers(0, POSITIONS + 3)
NAMES = st.integers(0, 9) | st.integers(0, 2**NAME_BITS - 1)
Run = tuple[int, int, int]


VEILING = Names(IndexKey(b"k" * 32))
DOCUMENT = b"\x01\x02\x03\x04\x05"


def digest_of(prints: list[Run], windows: list[tuple[int, list[int]]]) -> Digest:
    fingerprints = Fingerprints(
        names=np.array([name for name, _, _ in prints], dtype=np.uint64),
        positions=np.array([position for _, position, _ in prints], dtype=np.int32),
        agreement=np.array([agreement for _, _, agreement in prints], dtype=np.uint8),
    )
    starts = np.array([start for start, _ in windows], dtype=np.int32)
    bands = np.array([bands for _, bands in windows], dtype=np.uint64).reshape(len(windows), BANDS)
    return Digest(
        "path.py", "python", bytes(8), 1, fingerprints, Fragments(starts=starts, ends=starts + 1, bands=bands)
    )


def unpacked(rows: bytes, document: bytes) -> set[Run]:
    """Name, position and agreement of each row."""
    found = set()
    for at in range(0, len(rows), 24):
        key, entry = rows[at : at + KEY], rows[at + KEY : at + 24]
        assert key[:4] + key[6:11] == b"cr:{}:p3:"
        bucket = int(key[4:6], 16) << 12 | int.from_bytes(key[11:], "big")
        name = bucket << 24 | int.from_bytes(entry[:3], "little")
        assert entry[3:8] == document
        posting = np.frombuffer(entry[3:], dtype="<u8").astype(np.uint64)
        shown = VEILING.veil(np.array([name], dtype=np.uint64), posting).astype("<u8").tobytes()
        assert shown[:5] == document
        found.add((name, int.from_bytes(shown[5:7], "little"), shown[7]))
    assert len(found) == len(rows) // 24, "no entry twice"
    return found


def expected(digest: Digest) -> set[Run]:
    places: dict[int, list[tuple[int, int]]] = {}
    prints = digest.fingerprints
    columns = (prints.names.tolist(), prints.positions.tolist(), prints.agreement.tolist())
    for name, position, agreement in zip(*columns, strict=True):
        places.setdefault(name, []).append((position, agreement))
    for names, start in zip(digest.fragments.bands.tolist(), digest.fragments.starts.tolist(), strict=True):
        for name in names:
            places.setdefault(name, []).append((start // STRIDE, 0))
    return {
        (name, position % POSITIONS, agreement)
        for name, found in places.items()
        for position, agreement in (
            sorted(found, key=lambda pair: pair[0])[at] for at in kept(sorted(position for position, _ in found))
        )
    }


@given(
    prints=st.lists(st.tuples(NAMES, PLACES, st.integers(0, 255)), max_size=40),
    windows=st.lists(
        st.tuples(PLACES, st.lists(st.integers(0, 40), min_size=BANDS, max_size=BANDS)),
        max_size=5,
    ),
)
def test_every_name_keeps_its_first_places(prints: list[Run], windows: list[tuple[int, list[int]]]) -> None:
    digest = digest_of(prints, windows)
    postings = postings_of(digest)
    assert (np.diff(postings.buckets) >= 0).all()
    assert unpacked(postings.rows(DOCUMENT, 3, VEILING).tobytes(), DOCUMENT) == expected(digest)


def test_the_rows_of_a_table_are_kept_and_what_is_strewn_is_not() -> None:
    for step, count in ((4, TABLE_ROWS), (400, POSTINGS_A_DOCUMENT)):
        assert len(postings_of(digest_of([(7, step * at, at) for at in range(50)], []))) == count


def test_a_document_without_a_fingerprint_has_no_entry() -> None:
    assert len(postings_of(Digester(IndexKey(bytes(32))).digest("empty.py", "x = 1\n", "python"))) == 0


def test_a_name_of_too_many_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="42 bits"):
        buckets_of(np.array([1 << NAME_BITS], dtype=np.uint64))


@given(st.integers(0, 2**18 - 1), st.integers(0, 9))
def test_the_key_of_a_bucket_is_its_shards_and_its_own(bucket: int, generation: int) -> None:
    key = bucket_keys(np.array([bucket], dtype=np.int64), generation).tobytes()
    assert key == bucket_prefix(bucket >> 12, generation) + (bucket & 0xFFF).to_bytes(2, "big")
    assert len(key) == KEY


@given(st.integers(0, 2**40 - 1))
def test_a_documents_key_stands_for_its_id(document: int) -> None:
    assert document_id(document_key(document)) == document
