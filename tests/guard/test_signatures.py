"""The guard's signatures are datasketch's, whatever is done to make them quicker."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

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
from guard.secret import IndexKey
from guard.stream import TokenStream

KEY = IndexKey(bytes(range(32)))
FINGERPRINTER = Fingerprinter(KEY)
SIGNER = Signer(KEY, FINGERPRINTER)


def stream_of(tokens: list[str]) -> TokenStream:
    places = list(range(len(tokens)))
    return TokenStream(tokens, tokens, places, places)


def expected_values(tokens: list[str], start: int, end: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    runs = FINGERPRINTER.run_hashes(FINGERPRINTER.token_hashes(tokens[start:end]), SHINGLE)
    minhash = MinHash(PERMUTATIONS, hashfunc=int, permutations=SIGNER._permutations, scheme=SCHEME)
    minhash.update_batch((runs >> np.uint64(32)).tolist())
    return np.asarray(minhash.hashvalues, dtype=np.uint32)


@pytest.mark.parametrize("stride", [STRIDE, QUERY_STRIDE])
@given(length=st.integers(0, 40 * FRAGMENT), words=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_signatures_are_the_low_bytes_of_datasketchs_minhash(stride: int, length: int, words: int, seed: int) -> None:
    tokens = [f"t{word}" for word in np.random.default_rng(seed).integers(0, words, length)]
    fragments = SIGNER.fragments(stream_of(tokens), stride)
    assert bool(len(fragments)) == (length >= MIN_FRAGMENT)
    some = sorted({0, len(fragments) // 2, len(fragments) - 1}) if len(fragments) else []
    for row in some:
        values = expected_values(tokens, int(fragments.starts[row]), int(fragments.ends[row]))
        np.testing.assert_array_equal(fragments.signatures[row], (values & np.uint32(0xFF)).astype(np.uint8))


def test_a_band_is_named_by_its_rows_under_the_key() -> None:
    tokens = [f"t{i * i % 97}" for i in range(3 * FRAGMENT)]
    fragments = SIGNER.fragments(stream_of(tokens))
    band_key = KEY.derive(b"bands")
    for row, (start, end) in enumerate(zip(fragments.starts, fragments.ends, strict=True)):
        values = expected_values(tokens, int(start), int(end))
        for band in range(BANDS):
            raw = values[band * ROWS : (band + 1) * ROWS].astype("<u4").tobytes()
            name = hashlib.blake2b(raw, digest_size=8, key=band_key, person=b"band%d" % band).digest()
            assert int(fragments.bands[row, band]) == int.from_bytes(name, "little")


def test_neighbouring_fragments_cover_every_token() -> None:
    fragments = SIGNER.fragments(stream_of([f"t{i}" for i in range(1000)]))
    assert fragments.starts[0] == 0
    assert fragments.ends[-1] == 1000
    assert (fragments.starts[1:] <= fragments.ends[:-1]).all()
