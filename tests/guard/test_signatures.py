"""The guard's signatures are datasketch's, whatever is done to make them quicker."""

from __future__ import annotations

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st
from samples.streams import stream_with

from guard.fingerprint import Fingerprinter
from guard.minhash import (
    BANDS,
    FRAGMENT,
    MIN_FRAGMENT,
    PERMUTATIONS,
    QUERY_STRIDE,
    ROWS,
    SCHEME,
    SHINGLE,
    STRIDE,
    Signer,
)
from guard.names import NAME_BITS, Names
from guard.secret import IndexKey
from guard.siphash import siphash

KEY = IndexKey(bytes(range(32)))
SIGNER = Signer(KEY, Fingerprinter(KEY))
Values = np.ndarray[tuple[int], np.dtype[np.uint32]]


def expected_values(symbols: np.ndarray[tuple[int], np.dtype[np.int32]], start: int, end: int) -> Values:
    runs = expected_shingles(symbols[start:end].tolist())
    minhash = MinHash(PERMUTATIONS, hashfunc=int, permutations=SIGNER.permutations, scheme=SCHEME)
    minhash.update_batch(runs)
    return np.asarray(minhash.hashvalues, dtype=np.uint32)


def expected_shingles(symbols: list[int]) -> list[int]:
    """The upper half of the mixed polynomial in the keyed hashes of SHINGLE symbols, in plain numbers."""
    base = int.from_bytes(KEY.derive(b"rolling")[:8], "little") | 1
    key = KEY.derive(b"tokens")[:16]
    known = {symbol: siphash(key, symbol.to_bytes(4, "little")) for symbol in set(symbols)}
    found = []
    for at in range(len(symbols) - SHINGLE + 1):
        run = 0
        for symbol in symbols[at : at + SHINGLE]:
            run = (run * base + known[symbol]) % 2**64
        run = (run ^ run >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        run = (run ^ run >> 27) * 0x94D049BB133111EB % 2**64
        found.append((run ^ run >> 31) >> 32)
    return found


@pytest.mark.parametrize("stride", [STRIDE, QUERY_STRIDE])
@given(length=st.integers(0, 40 * FRAGMENT), words=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_signatures_are_datasketchs_minhash(stride: int, length: int, words: int, seed: int) -> None:
    symbols = np.random.default_rng(seed).integers(0xFFE0, 0xFFE0 + words, length, dtype=np.int32)
    starts, ends, values = SIGNER.signatures(symbols, stride)
    assert bool(len(starts)) == (length >= MIN_FRAGMENT)
    some = sorted({0, len(starts) // 2, max(0, len(starts) - 2), len(starts) - 1}) if len(starts) else []
    for row in some:
        np.testing.assert_array_equal(values[row], expected_values(symbols, int(starts[row]), int(ends[row])))


def test_a_band_is_named_by_its_rows_under_the_key() -> None:
    symbols = np.array([i * i % 97 for i in range(3 * FRAGMENT)], dtype=np.int32)
    fragments = SIGNER.fragments(stream_with(symbols.tolist()))
    band_key = KEY.derive(b"bands")[:16]
    for row, (start, end) in enumerate(zip(fragments.starts, fragments.ends, strict=True)):
        values = expected_values(symbols, int(start), int(end))
        for band in range(BANDS):
            raw = band.to_bytes(8, "little") + values[band * ROWS : (band + 1) * ROWS].astype("<u4").tobytes()
            base = siphash(band_key, raw) >> (64 - NAME_BITS)
            assert fragments.bands[row, band] == Names(KEY).seal(np.array([base], dtype=np.uint64))[0]


def test_neighbouring_fragments_cover_every_token() -> None:
    fragments = SIGNER.fragments(stream_with([0x10000 + i for i in range(1000)]))
    assert fragments.starts[0] == 0
    assert fragments.ends[-1] == 1000
    assert (fragments.starts[1:] <= fragments.ends[:-1]).all()
