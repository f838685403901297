from __future__ import annotations

import random
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.code import PYTHON, renamed
from samples.streams import stream_with

from guard.fingerprint import Fingerprinter
from guard.minhash import BANDS, FRAGMENT, MIN_FRAGMENT, PERMUTATIONS, QUERY_STRIDE, ROWS, SHINGLE, STRIDE, Signer
from guard.names import NAME_BITS
from guard.secret import IndexKey
from guard.tokens import lex

KEY = IndexKey(b"k" * 32)
SIGNER = Signer(KEY, Fingerprinter(KEY))


def symbols(count: int, seed: int, vocabulary: int = 500) -> list[int]:
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    return [0x10000 + rng.randrange(vocabulary) for _ in range(count)]


def shingles(tokens: list[int]) -> set[tuple[int, ...]]:
    return {tuple(tokens[i : i + SHINGLE]) for i in range(len(tokens) - SHINGLE + 1)}


def signature(tokens: list[int]) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    values: np.ndarray[tuple[int], np.dtype[np.uint32]] = SIGNER.signatures(np.array(tokens, dtype=np.int32))[2][0]
    return values


@given(st.integers(0, 700), st.sampled_from([STRIDE, QUERY_STRIDE]))
def test_windows_cover_the_stream(count: int, stride: int) -> None:
    fragments = SIGNER.fragments(stream_with(symbols(count, count)), stride)
    assert fragments.starts.dtype == fragments.ends.dtype == np.int32
    starts, ends = fragments.starts.tolist(), fragments.ends.tolist()
    assert fragments.bands.shape == (len(fragments), BANDS)
    assert all(name < 2**NAME_BITS for name in fragments.bands.ravel().tolist())
    if count < MIN_FRAGMENT:
        assert len(fragments) == 0
        return
    assert starts[0] == 0
    assert ends[-1] == count
    assert all(end - start == min(FRAGMENT, count) for start, end in zip(starts, ends, strict=True))
    assert all(0 < after - before <= stride for before, after in pairwise(starts))


@pytest.mark.parametrize("changed", [0, 3, 8, 20])
def test_equal_values_are_as_many_as_the_windows_are_similar(changed: int) -> None:
    estimates, truths = [], []
    for seed in range(80):
        one = symbols(FRAGMENT, seed)
        other = list(one)
        for place in random.Random(seed).sample(range(FRAGMENT), changed):  # noqa: S311 - not for secrets
            other[place] = 0x20000 + place
        estimates.append(float(np.mean(signature(one) == signature(other))))
        truths.append(len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other)))
    # One estimate has a standard error of at most 0.1 (24 permutations), the mean of eighty a ninth of that.
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.04)


def test_what_has_nothing_in_common_is_not_similar() -> None:
    one, other = (signature(symbols(FRAGMENT, seed, 10**6)) for seed in (1, 2))
    assert len(one) == PERMUTATIONS
    assert not (one == other).any()


def test_the_order_of_blocks_hardly_matters() -> None:
    shared = 0
    for first in range(0, 40, 4):
        blocks = [symbols(32, seed) for seed in range(first, first + 4)]
        one = SIGNER.fragments(stream_with([*chain(*blocks)]))
        other = SIGNER.fragments(stream_with([*chain(*reversed(blocks))]))
        shared += bool(set(one.bands[0].tolist()) & set(other.bands[0].tolist()))
    assert shared >= 7


def test_bands_agree_where_their_rows_do() -> None:
    streams = [[*symbols(FRAGMENT - 6, 7), *symbols(6, seed)] for seed in (8, 9)]
    rows = (signature(streams[0]) == signature(streams[1])).reshape(BANDS, ROWS).all(axis=1)
    one, other = (SIGNER.fragments(stream_with(stream)).bands[0] for stream in streams)
    assert rows.any()
    assert ((one == other) == rows).all()
    assert len(set(one.tolist())) == BANDS


def test_bands_do_not_see_names() -> None:
    one, other = (SIGNER.fragments(lex(text, "python").code) for text in (PYTHON, renamed(PYTHON)))
    assert one.bands.tolist() == other.bands.tolist()


def test_other_keys_name_bands_otherwise() -> None:
    tokens = stream_with(symbols(600, 5))
    key = IndexKey(b"o" * 32)
    one, other = SIGNER.fragments(tokens), Signer(key, Fingerprinter(key)).fragments(tokens)
    assert not set(one.bands.ravel().tolist()) & set(other.bands.ravel().tolist())
    again = Signer(IndexKey(b"k" * 32), Fingerprinter(KEY)).fragments(tokens)
    assert again.bands.tolist() == one.bands.tolist()
