from __future__ import annotations

import random
from itertools import chain, pairwise

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
    similarity,
)
from guard.secret import IndexKey
from guard.stream import TokenStream

KEY = IndexKey(b"k" * 32)


def signer(key: IndexKey = KEY) -> Signer:
    return Signer(key, Fingerprinter(key))


def stream(renamed: list[str]) -> TokenStream:
    places = list(range(len(renamed)))
    return TokenStream(renamed, renamed, places, [place + 1 for place in places])


def words(count: int, seed: int, vocabulary: int = 500) -> list[str]:
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    return [f"w{rng.randrange(vocabulary)}" for _ in range(count)]


def shingles(tokens: list[str]) -> set[tuple[str, ...]]:
    return {tuple(tokens[i : i + SHINGLE]) for i in range(len(tokens) - SHINGLE + 1)}


@given(st.integers(0, 700), st.sampled_from([STRIDE, QUERY_STRIDE]))
def test_windows_cover_the_stream(count: int, stride: int) -> None:
    fragments = signer().fragments(stream(words(count, count)), stride)
    starts, ends = fragments.starts.tolist(), fragments.ends.tolist()
    assert fragments.signatures.shape == (len(fragments), PERMUTATIONS)
    assert fragments.bands.shape == (len(fragments), BANDS)
    if count < MIN_FRAGMENT:
        assert len(fragments) == 0
        return
    assert starts[0] == 0
    assert ends[-1] == count
    assert all(end - start == min(FRAGMENT, count) for start, end in zip(starts, ends, strict=True))
    assert all(0 < after - before <= stride for before, after in pairwise(starts))


def test_signatures_are_those_of_datasketch() -> None:
    made = signer()
    tokens = words(300, 3)
    fragments = made.fragments(stream(tokens))
    fingerprinter = Fingerprinter(KEY)
    hashes = fingerprinter.run_hashes(fingerprinter.token_hashes(tokens), SHINGLE)
    for row, (start, end) in enumerate(zip(fragments.starts, fragments.ends, strict=True)):
        minhash = MinHash(PERMUTATIONS, hashfunc=int, permutations=made._permutations, scheme=SCHEME)
        minhash.update_batch([int(value) >> 32 for value in hashes[start : end - SHINGLE + 1]])
        assert (minhash.hashvalues & 0xFF).tolist() == fragments.signatures[row].tolist()


@pytest.mark.parametrize("changed", [0, 3, 8, 20])
def test_similarity_is_close_to_the_true_one(changed: int) -> None:
    estimates, truths = [], []
    for seed in range(40):
        one = words(FRAGMENT, seed)
        other = list(one)
        for place in random.Random(seed).sample(range(FRAGMENT), changed):  # noqa: S311 - not for secrets
            other[place] = f"changed{place}"
        both = [signer().fragments(stream(tokens)) for tokens in (one, other)]
        estimates.append(similarity(both[0].signatures[0], both[1].signatures[0]))
        truths.append(len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other)))
    # One estimate has a standard error of at most 1/16 (64 permutations), the mean of forty a sixth of that.
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.04)
    assert max(abs(a - b) for a, b in zip(estimates, truths, strict=True)) < 0.3


def test_what_has_nothing_in_common_is_not_similar() -> None:
    one, other = (signer().fragments(stream(words(FRAGMENT, seed, 10**6))) for seed in (1, 2))
    assert similarity(one.signatures[0], other.signatures[0]) < 0.1
    assert similarity(one.signatures[0], one.signatures[0]) == 1.0


def test_the_order_of_blocks_hardly_matters() -> None:
    blocks = [words(32, seed) for seed in range(4)]
    one = signer().fragments(stream([*chain(*blocks)]))
    other = signer().fragments(stream([*chain(*reversed(blocks))]))
    assert similarity(one.signatures[0], other.signatures[0]) > 0.65
    assert set(one.bands[0].tolist()) & set(other.bands[0].tolist())


def test_bands_agree_where_their_rows_do() -> None:
    one, other = (signer().fragments(stream([*words(FRAGMENT - 6, 7), *words(6, seed)])) for seed in (8, 9))
    rows = (one.signatures[0] == other.signatures[0]).reshape(BANDS, ROWS).all(axis=1)
    same = one.bands[0] == other.bands[0]
    assert same.any()
    # Equal bands have equal rows; the other way round only as far as the lowest bytes tell.
    assert not (same & ~rows).any()
    assert len(set(one.bands[0].tolist())) == BANDS


def test_other_keys_name_bands_otherwise() -> None:
    tokens = stream(words(600, 5))
    one, other = signer().fragments(tokens), signer(IndexKey(b"o" * 32)).fragments(tokens)
    assert not set(one.bands.ravel().tolist()) & set(other.bands.ravel().tolist())
    again = signer(IndexKey(b"k" * 32)).fragments(tokens)
    assert again.bands.tolist() == one.bands.tolist()
    assert again.signatures.tolist() == one.signatures.tolist()
