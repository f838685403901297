"""Keyed MinHash signatures of fragments, and their LSH bands (Broder 1997; Indyk & Motwani 1998).

Signatures find what alignment cannot: a window whose statements were put in another order. The signature is
datasketch's `MinHash` with the permutations drawn from the index key and the scheme pinned; what is stored of it is the
lowest byte of each value (b-bit minwise hashing, Li & König 2010). Knows neither store nor owners.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from datasketch import MinHash

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
        self._band_key = key.derive(b"bands")
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
        values = np.empty((len(starts), PERMUTATIONS), dtype=np.uint32)
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            values[row] = self._signature(shingles[start : end - SHINGLE + 1])
        return Fragments(starts, ends, (values & np.uint32(0xFF)).astype(np.uint8), self._bands(values))

    def _signature(self, shingles: NDArray[np.uint32]) -> NDArray[np.uint32]:
        minhash = MinHash(
            num_perm=PERMUTATIONS,
            hashfunc=_identity,
            permutations=self._permutations,
            scheme=SCHEME,
        )
        minhash.update_batch(np.unique(shingles))
        return np.asarray(minhash.hashvalues, dtype=np.uint32)

    def _bands(self, values: NDArray[np.uint32]) -> Hashes:
        names = np.empty((len(values), BANDS), dtype=np.uint64)
        for row, signature in enumerate(values):
            for band in range(BANDS):
                raw = signature[band * ROWS : (band + 1) * ROWS].astype("<u4").tobytes()
                digest = hashlib.blake2b(raw, digest_size=8, key=self._band_key, person=b"band%d" % band).digest()
                names[row, band] = int.from_bytes(digest, "little")
        return names


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


def _identity(value: int) -> int:
    return value
