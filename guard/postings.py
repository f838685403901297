"""A document's postings in the form that guard.scripts reads. Knows no store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guard.layout import BUCKET_BITS, ENTRY, KEY, NAME_BITS, POSTING, REMAINDER_BITS, bucket_keys
from guard.minhash import STRIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from guard.digest import Digest
    from guard.names import Names

POSTINGS_A_DOCUMENT = 4
"""Of a name that stands at many places in a document, the first so many are kept."""
TABLE_ROWS = 16
"""So many where they stand close together, as the rows of a table and the arms of a long `elif` do: a copy of them is
followed from one to the next."""
TABLE_STEP = 24
"""Tokens from one row to the next at most."""
POSITIONS = 1 << 16
"""Positions are stored modulo this."""
ROW = KEY + ENTRY
"""Bytes of an entry with its bucket's key in front."""
_REMAINDER = REMAINDER_BITS // 8
_OWNED = slice(_REMAINDER, _REMAINDER + 5)


@dataclass(frozen=True, slots=True)
class Postings:
    """A document's postings, sorted by name. `names`: uint64 (n,). `entries`: uint8 (n, ENTRY), yet of no document."""

    names: NDArray[np.uint64]
    entries: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def buckets(self) -> NDArray[np.int64]:
        """The bucket of each, shape (n,), sorted."""
        return buckets_of(self.names)

    def rows(self, document: bytes, generation: int, veiling: Names) -> NDArray[np.uint8]:
        """Bucket's key and entry of each as a posting of this document, veiled, shape (n, ROW)."""
        rows = np.empty((len(self), ROW), dtype=np.uint8)
        rows[:, :KEY] = bucket_keys(self.buckets, generation)
        rows[:, KEY:] = self.entries
        rows[:, KEY:][:, _OWNED] = np.frombuffer(document, dtype=np.uint8)
        postings = np.ascontiguousarray(rows[:, -POSTING:]).view("<u8").reshape(-1)
        rows[:, -POSTING:] = veiling.veil(self.names, postings).astype("<u8").view(np.uint8).reshape(-1, POSTING)
        return rows


def postings_of(digest: Digest) -> Postings:
    """What is stored of a digest: fingerprints, literals, and fragments' bands with its number as position."""
    prints, fragments, literals = digest.fingerprints, digest.fragments, digest.literals
    windows = np.repeat(fragments.starts // STRIDE, fragments.bands.shape[1])
    names = np.concatenate([prints.names, fragments.bands.ravel(), literals.names]).astype(np.uint64)
    positions = np.concatenate([prints.positions, windows, np.zeros(len(literals), dtype=np.int64)])
    agreement = np.concatenate([prints.agreement, np.zeros(len(windows), dtype=np.uint8), literals.agreement])
    order = np.lexsort((positions, names))
    order = order[_kept(names[order], positions[order])]
    names, positions, agreement = names[order], positions[order] % POSITIONS, agreement[order]
    # Two bands of one window may have one name, and places may be equal but for what is stored of them.
    order = np.lexsort((agreement, positions, names))
    columns = (names[order], positions[order], agreement[order])
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    names, positions, agreement = (column[fresh] for column in columns)
    entries = np.zeros((len(names), ENTRY), dtype=np.uint8)
    entries[:, :_REMAINDER] = _remainders(names)
    entries[:, -3:-1] = positions.astype("<u2").view(np.uint8).reshape(-1, 2)
    entries[:, -1] = agreement
    return Postings(names, entries)


def buckets_of(names: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The bucket of each name.

    Raises:
        ValueError: a name has more than NAME_BITS bits.
    """
    buckets = (names >> np.uint64(REMAINDER_BITS)).astype(np.int64)
    if len(buckets) and int(buckets.max()) >> BUCKET_BITS:
        message = f"a name of more than {NAME_BITS} bits"
        raise ValueError(message)
    return buckets


def _remainders(names: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The lower bits of each name as bytes, shape (n, 3)."""
    return np.ascontiguousarray(names, dtype="<u8").view(np.uint8).reshape(-1, 8)[:, :_REMAINDER]


def _kept(names: NDArray[np.uint64], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which places are kept, of names in order and each name's positions in order."""
    rank = _rank(names)
    row = np.zeros(len(names), dtype=np.bool_)
    row[1:] = positions[1:] - positions[:-1] <= TABLE_STEP
    return (rank < POSTINGS_A_DOCUMENT) | (row & (rank < TABLE_ROWS))


def _rank(names: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many of the same name stand before each, in sorted names."""
    places = np.arange(len(names))
    fresh = np.ones(len(names), dtype=np.bool_)
    fresh[1:] = names[1:] != names[:-1]
    return places - np.maximum.accumulate(np.where(fresh, places, 0))
