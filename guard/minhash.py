"""Keyed MinHash signatures of fragments, and their LSH bands (Broder 1997; Indyk & Motwani 1998).

Signatures find what alignment cannot: a window whose statements were put in another order. The signature is that of
datasketch's `MinHash` to the bit, with the permutations drawn from the index key and the scheme pinned; what is stored
of it is the lowest byte of each value (b-bit minwise hashing, Li & König 2010). Knows neither store nor owners.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from guard.fingerprint import keyed_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from guard.fingerprint import Fingerprinter, Hashes
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
PERMUTATIONS = 64
BANDS = 16
ROWS = PERMUTATIONS // BANDS
SCHEME = "affine32"
"""datasketch's permutation scheme. An index made with another answers nothing, silently: so it is in the stamp."""
_WINDOWS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Fragments:
    """Signed windows of one stream.

    `starts`, `ends`: int32, shape (n,), token offsets. `signatures`: uint8, shape (n, PERMUTATIONS).
    `bands`: uint64, shape (n, BANDS), keyed names of the signature's bands.
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    signatures: NDArray[np.uint8]
    bands: Hashes

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def none(cls) -> Self:
        """No fragments."""
        empty = np.empty(0, dtype=np.int32)
        signatures = np.empty((0, PERMUTATIONS), dtype=np.uint8)
        return cls(empty, empty, signatures, np.empty((0, BANDS), dtype=np.uint64))


class Signer:
    """Signatures under one index key. Safe to share between threads."""

    def __init__(self, key: IndexKey, fingerprinter: Fingerprinter) -> None:
        self._fingerprinter = fingerprinter
        band_key = key.derive(b"bands")
        self._namers = [hashlib.blake2b(digest_size=8, key=band_key, person=b"band%d" % i) for i in range(BANDS)]
        seed = int.from_bytes(key.derive(b"permutations"), "little")
        random = np.random.Generator(np.random.Philox(seed % 2**128))
        multipliers = random.integers(0, 2**32, PERMUTATIONS, dtype=np.uint32) | np.uint32(1)
        increments = random.integers(0, 2**32, PERMUTATIONS, dtype=np.uint32)
        self._permutations = (multipliers, increments)

    def fragments(self, stream: TokenStream, stride: int = STRIDE) -> Fragments:
        """Sign the stream's windows; none if it has fewer than MIN_FRAGMENT tokens."""
        count = len(stream)
        starts = _window_starts(count, stride)
        ends = np.minimum(starts + FRAGMENT, count).astype(np.int32)
        hashes = self._fingerprinter.token_hashes(stream.renamed)
        shingles = (self._fingerprinter.run_hashes(hashes, SHINGLE) >> np.uint64(32)).astype(np.uint32)
        values = self._signatures(shingles, starts, ends - (SHINGLE - 1))
        return Fragments(starts, ends, (values & np.uint32(0xFF)).astype(np.uint8), self._bands(values))

    def _signatures(
        self, shingles: NDArray[np.uint32], starts: NDArray[np.int32], ends: NDArray[np.int32]
    ) -> NDArray[np.uint32]:
        """The hash values that datasketch's `MinHash` gives shingles[start:end], shape (len(starts), PERMUTATIONS).

        Windows overlap, so every shingle is permuted once for all of them.
        """
        multipliers, increments = self._permutations
        values = np.empty((len(starts), PERMUTATIONS), dtype=np.uint32)
        for first in range(0, len(starts), _WINDOWS_AT_ONCE):
            some = slice(first, first + _WINDOWS_AT_ONCE)
            low = int(starts[first])
            permuted = np.multiply.outer(_mixed(shingles[low : ends[some][-1]]), multipliers) + increments
            for row, (start, end) in enumerate(zip(starts[some] - low, ends[some] - low, strict=True), first):
                permuted[start:end].min(axis=0, out=values[row])
        return values

    def _bands(self, values: NDArray[np.uint32]) -> Hashes:
        names = np.empty((len(values), BANDS), dtype=np.uint64)
        for band, namer in enumerate(self._namers):
            rows = values[:, band * ROWS : (band + 1) * ROWS]
            names[:, band] = keyed_names(namer, rows.astype("<u4").tobytes(), 4 * ROWS)
        return names


def _mixed(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """MurmurHash3's 32-bit finalizer (Appleby 2011), with which the scheme `affine32` begins."""
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))


def similarity(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The estimated Jaccard similarity of two stored signatures, 0 to 1, corrected for chance equality of bytes."""
    equal = float(np.mean(one == other))
    return max(0.0, (equal - 1 / 256) / (1 - 1 / 256))


def _window_starts(count: int, stride: int) -> NDArray[np.int32]:
    if count < MIN_FRAGMENT:
        return np.empty(0, dtype=np.int32)
    last = max(0, count - FRAGMENT)
    starts = np.arange(0, last + 1, stride, dtype=np.int32)
    if starts[-1] != last:
        starts = np.append(starts, np.int32(last))
    return starts
