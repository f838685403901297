"""Keyed MinHash signatures of fragments, and their LSH bands (Broder 1997; Indyk & Motwani 1998).

Bands find what alignment cannot: a window whose statements were put in another order. The signature is that of
datasketch's `MinHash` to the bit, with the permutations drawn from the index key and the scheme pinned; only its bands
are stored. Knows neither store nor owners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from guard.kernels import constant, kernel, part
from guard.names import BASE_SHIFT, Hashes, seal_names
from guard.runs import TokenKeys, mixed, run_hashes, symbol_hashes
from guard.siphash import HALF_WORD, KEY_BYTES, WORD_BYTES, States, absorb, finish, keyed, tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from guard.fingerprint import Fingerprinter
    from guard.secret import IndexKey
    from guard.stream import TokenStream

FRAGMENT = 128
"""Tokens of a fragment (about 16 lines)."""
STRIDE = 64
"""Tokens from one indexed fragment to the next."""
QUERY_STRIDE = 32
"""Tokens from one queried fragment to the next: no indexed fragment is further than half of this away."""
MIN_FRAGMENT = 40
SHINGLE = 5
PERMUTATIONS = 24
BANDS = 6
ROWS = PERMUTATIONS // BANDS
SCHEME = "affine32"
"""datasketch's permutation scheme. An index made with another answers nothing, silently: so it is in the stamp."""
_SHINGLE = constant(SHINGLE)
_BLOCK = QUERY_STRIDE
_MAX = np.uint32(0xFFFFFFFF)
_ROW_BYTES = 4
_NOTHING = np.uint64(0)
_16, _13 = np.uint32(16), np.uint32(13)
_MIX_1, _MIX_2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)


@dataclass(frozen=True, slots=True)
class Fragments:
    """Windows of one stream.

    `starts`, `ends`: int32, shape (n,), token offsets. `bands`: uint64, shape (n, BANDS), keyed names of the bands,
    below 2**NAME_BITS.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    bands: Hashes

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def none(cls) -> Self:
        """No fragments."""
        empty = np.empty(0, dtype=np.int32)
        return cls(empty, empty, np.empty((0, BANDS), dtype=np.uint64))


class _SignerKeys(NamedTuple):
    """What signatures are made with.

    `permutations`: uint32, shape (2, PERMUTATIONS), multipliers and increments. `bands`: SipHash before a band is
    read, shape (1, 4). `rounds`: SipHash before every round of a name, shape (ROUNDS, 4).
    """

    tokens: TokenKeys
    permutations: NDArray[np.uint32]
    bands: States
    rounds: States


class Signer:
    """Signatures under one index key. Safe to share between threads."""

    def __init__(self, key: IndexKey, fingerprinter: Fingerprinter) -> None:
        seed = int.from_bytes(key.derive(b"permutations"), "little")
        random = np.random.Generator(np.random.Philox(seed % 2**128))
        multipliers = random.integers(0, 2**32, PERMUTATIONS, dtype=np.uint32) | np.uint32(1)
        increments = random.integers(0, 2**32, PERMUTATIONS, dtype=np.uint32)
        self.permutations = (multipliers, increments)
        bands = keyed(key.derive(b"bands")[:KEY_BYTES])
        rounds = fingerprinter.names.rounds
        self._keys = _SignerKeys(fingerprinter.token_keys, np.stack(self.permutations), bands, rounds)

    def fragments(self, stream: TokenStream, stride: int = STRIDE) -> Fragments:
        """The stream's windows, `stride` tokens (a multiple of QUERY_STRIDE) apart; none below MIN_FRAGMENT tokens."""
        starts, ends = _windows(len(stream), stride)
        bands = np.empty((len(starts), BANDS), dtype=np.uint64)
        if len(starts):
            _name_bands(stream.symbols, starts, self._keys, bands)
        return Fragments(starts, ends, bands)

    def signatures(
        self, symbols: NDArray[np.int32], stride: int = STRIDE
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint32]]:
        """Starts and ends of the windows of a row of symbols, and their signatures, shape (n, PERMUTATIONS)."""
        starts, ends = _windows(len(symbols), stride)
        values = np.empty((len(starts), PERMUTATIONS), dtype=np.uint32)
        if len(starts):
            _sign(symbols, starts, self._keys, values)
        return starts, ends, values


def _windows(count: int, stride: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Starts and ends of the windows of `count` tokens; the last ends where they do."""
    last = max(0, count - FRAGMENT)
    if count < MIN_FRAGMENT:
        starts = np.empty(0, dtype=np.int32)
    else:
        # Rounding up puts the last window's start behind `last`, from where it is pulled back.
        starts = np.minimum(np.arange(0, last + stride, stride, dtype=np.int32), np.int32(last))
    return starts, np.minimum(starts + np.int32(FRAGMENT), np.int32(count))


@kernel
def _name_bands(symbols: NDArray[np.int32], starts: NDArray[np.int32], keys: _SignerKeys, bands: Hashes) -> None:
    """Fill the windows' band names: SipHash of a band's number and its rows, sealed."""
    values = np.empty((len(starts), PERMUTATIONS), dtype=np.uint32)
    _sign_windows(_shingles(symbols, keys.tokens), starts, keys.permutations, values)
    state = (keys.bands[0, 0], keys.bands[0, 1], keys.bands[0, 2], keys.bands[0, 3])
    for row in range(len(starts)):
        for band in range(BANDS):
            words = absorb(state, np.uint64(band))
            for at in range(band * ROWS, (band + 1) * ROWS, 2):
                words = absorb(words, np.uint64(values[row, at]) | (np.uint64(values[row, at + 1]) << HALF_WORD))
            bands[row, band] = finish(words, tail(WORD_BYTES + _ROW_BYTES * ROWS, _NOTHING)) >> BASE_SHIFT
    seal_names(bands.reshape(-1), keys.rounds)


@kernel
def _sign(symbols: NDArray[np.int32], starts: NDArray[np.int32], keys: _SignerKeys, values: NDArray[np.uint32]) -> None:
    _sign_windows(_shingles(symbols, keys.tokens), starts, keys.permutations, values)


@part
def _shingles(symbols: NDArray[np.int32], keys: TokenKeys) -> NDArray[np.uint32]:
    """The upper halves of the mixed polynomial hashes of all runs of SHINGLE symbols."""
    runs = run_hashes(symbol_hashes(symbols, keys), _SHINGLE, keys.base[0])
    shingles = np.empty(len(runs), dtype=np.uint32)
    for at in range(len(runs)):
        shingles[at] = np.uint32(mixed(runs[at]) >> HALF_WORD)
    return shingles


@part
def _sign_windows(
    shingles: NDArray[np.uint32],
    starts: NDArray[np.int32],
    permutations: NDArray[np.uint32],
    values: NDArray[np.uint32],
) -> None:
    """Fill the values that datasketch's `MinHash` gives the shingles of each window."""
    for at in range(len(shingles)):
        shingles[at] = _finalized(shingles[at])
    blocks = _block_minima(shingles, permutations)
    for row in range(len(starts)):
        start = starts[row]
        first, last = start // _BLOCK, start // _BLOCK + FRAGMENT // _BLOCK - 1
        if start % _BLOCK or start + FRAGMENT > len(shingles) + SHINGLE - 1:
            for at in range(PERMUTATIONS):
                values[row, at] = _MAX
            _lower(shingles[start : start + FRAGMENT - (SHINGLE - 1)], permutations, values[row])
            continue
        for at in range(PERMUTATIONS):
            least = blocks[last, 1, at]
            for block in range(first, last):
                least = min(least, blocks[block, 0, at])
            values[row, at] = least


@part
def _block_minima(shingles: NDArray[np.uint32], permutations: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The least values of blocks of (finalized) shingles, which windows share, shape (blocks, 2, PERMUTATIONS).

    Of a whole block and, as the runs that begin last reach beyond a window that ends with it, of all but those.
    """
    blocks = np.empty((len(shingles) // _BLOCK + 1, 2, PERMUTATIONS), dtype=np.uint32)
    for block in range(len(blocks)):
        begin, end = block * _BLOCK, min((block + 1) * _BLOCK, len(shingles))
        cut = min(end, begin + _BLOCK - (SHINGLE - 1))
        for at in range(PERMUTATIONS):
            blocks[block, 1, at] = _MAX
        _lower(shingles[begin:cut], permutations, blocks[block, 1])
        for at in range(PERMUTATIONS):
            blocks[block, 0, at] = blocks[block, 1, at]
        _lower(shingles[cut:end], permutations, blocks[block, 0])
    return blocks


@part
def _lower(shingles: NDArray[np.uint32], permutations: NDArray[np.uint32], values: NDArray[np.uint32]) -> None:
    """Lower `values` to what the permutations make of the (finalized) shingles, where that is less."""
    for shingle in shingles:
        for at in range(PERMUTATIONS):
            values[at] = min(values[at], np.uint32(shingle * permutations[0, at] + permutations[1, at]))


@part
def _finalized(value: np.uint32) -> np.uint32:
    """MurmurHash3's 32-bit finalizer (Appleby 2011), with which the scheme `affine32` begins."""
    value = np.uint32(np.uint32(value ^ (value >> _16)) * _MIX_1)
    value = np.uint32(np.uint32(value ^ (value >> _13)) * _MIX_2)
    return np.uint32(value ^ (value >> _16))
