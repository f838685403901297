"""What the index holds of a query's fingerprints. Knows no store and no owner's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from guard.layout import OWNER_BITS, POSTING, SERIAL_BITS
from guard.postings import POSITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DocumentId = int
"""Owner id in the upper 16 of 40 bits, serial in the lower 24."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What the index holds of a query's fingerprints.

    `which`: int64, shape (n,), index into the queried names, sorted. `postings`: uint64, shape (n,): from the lowest
    bit on owner (16 bits), serial (24), position (16), agreement (8). `version` counts the index's changes; `tokens` is
    its size.
    """

    which: NDArray[np.int64]
    postings: NDArray[np.uint64]
    version: int
    tokens: int

    @property
    def documents(self) -> NDArray[np.int64]:
        """Document ids, shape (n,)."""
        owners = (self.postings & np.uint64((1 << OWNER_BITS) - 1)) << np.uint64(SERIAL_BITS)
        serials = (self.postings >> np.uint64(OWNER_BITS)) & np.uint64((1 << SERIAL_BITS) - 1)
        return (owners | serials).astype(np.int64)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Token positions in the documents modulo 65,536, shape (n,); of a band, its fragment's number."""
        return ((self.postings >> np.uint64(OWNER_BITS + SERIAL_BITS)) & np.uint64(POSITIONS - 1)).astype(np.int64)

    @property
    def agreement(self) -> NDArray[np.uint8]:
        """The agreement bytes, shape (n,)."""
        return (self.postings >> np.uint64(56)).astype(np.uint8)

    def only(self, kept: NDArray[np.bool_]) -> Hits:
        """The hits that are marked."""
        return Hits(self.which[kept], self.postings[kept], self.version, self.tokens)


@overload
def owner_number(document: DocumentId) -> int: ...
@overload
def owner_number(document: NDArray[np.int64]) -> NDArray[np.int64]: ...
def owner_number(document: DocumentId | NDArray[np.int64]) -> int | NDArray[np.int64]:
    """The number of the owner in a document's id, or in each of several."""
    return document >> SERIAL_BITS


def hits_of(version: bytes, tokens: bytes, pairs: Sequence[tuple[NDArray[np.int64], list[bytes]]]) -> Hits:
    """Read an answer: indexes of names with the postings of each, in several parts. ValueError if it is none."""
    blobs = [blob for _, found in pairs for blob in found]
    which = np.concatenate([places for places, _ in pairs]) if pairs else np.empty(0, dtype=np.int64)
    counts = np.array([len(blob) // POSTING for blob in blobs], dtype=np.int64)
    order = np.argsort(np.repeat(which, counts), kind="stable")
    postings = np.frombuffer(b"".join(blobs), dtype="<u8").astype(np.uint64)
    return Hits(np.repeat(which, counts)[order], postings[order], int(version), int(tokens))
