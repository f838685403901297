"""What the index holds of a query's fingerprints. Knows no store and no owner's name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, overload

import numpy as np

from guard.kernels import kernel
from guard.layout import ENTRY, OWNER_BITS, REMAINDER_BITS, SERIAL_BITS
from guard.postings import POSITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from guard.looking import Part
    from guard.records import DocumentRecord

_REMAINDER = np.uint64((1 << REMAINDER_BITS) - 1)
_OWNER, _OWNER_SHIFT = np.uint64((1 << OWNER_BITS) - 1), np.uint64(OWNER_BITS)
_SERIAL, _SERIAL_SHIFT = np.uint64((1 << SERIAL_BITS) - 1), np.uint64(SERIAL_BITS)
_POSITION, _POSITION_SHIFT = np.uint64(POSITIONS - 1), np.uint64(OWNER_BITS + SERIAL_BITS)
_AGREEMENT_SHIFT = np.uint64(56)
_BYTE = np.uint64(8)

DocumentId = int
"""Owner id in the upper 16 of 40 bits, serial in the lower 24."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What the index holds of a query's fingerprints.

    `which`: int64, shape (n,), index into the queried names, sorted. `postings`: uint64, shape (n,): from the lowest
    bit on owner (16 bits), serial (24), position (16), agreement (8). `version` counts the index's changes; `tokens` is
    its size. `records`: of the documents that were asked for beside the names, those that are there.
    """

    which: NDArray[np.int64]
    postings: NDArray[np.uint64]
    version: int
    tokens: int
    records: dict[DocumentId, DocumentRecord] = field(default_factory=dict)

    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
        """Documents, positions and agreement bytes at once, shapes (n,), as the properties have them."""
        return _columns(self.postings)

    @property
    def documents(self) -> NDArray[np.int64]:
        """Document ids, shape (n,)."""
        return self.columns()[0]

    @property
    def positions(self) -> NDArray[np.int64]:
        """Token positions in the documents modulo 65,536, shape (n,); of a band, its fragment's number."""
        return self.columns()[1]

    @property
    def agreement(self) -> NDArray[np.uint8]:
        """The agreement bytes, shape (n,)."""
        return self.columns()[2]

    def only(self, kept: NDArray[np.bool_]) -> Hits:
        """The hits that are marked."""
        return replace(self, which=self.which[kept], postings=self.postings[kept])


@overload
def owner_number(document: DocumentId) -> int: ...
@overload
def owner_number(document: NDArray[np.int64]) -> NDArray[np.int64]: ...
def owner_number(document: DocumentId | NDArray[np.int64]) -> int | NDArray[np.int64]:
    """The number of the owner in a document's id, or in each of several."""
    return document >> SERIAL_BITS


def picked(names: NDArray[np.uint64], parts: Sequence[Part]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Pick the entries of `names` out of their buckets: which of them, sorted, and a posting of each.

    Raises:
        ValueError: a bucket is damaged.
    """
    found = [_picked(names, *part) for part in parts]
    if len(found) == 1:
        return found[0]
    which = np.concatenate([some for some, _ in found])
    order = np.argsort(which, kind="stable")
    return which[order], np.concatenate([postings for _, postings in found])[order]


def _picked(
    names: NDArray[np.uint64], places: NDArray[np.int64], buckets: list[bytes | None]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    ends = np.fromiter(accumulate(0 if bucket is None else len(bucket) or 1 for bucket in buckets), dtype=np.int64)
    if (ends % ENTRY).any():
        message = "a damaged bucket"
        raise ValueError(message)
    return _pick(names, places, ends, b"".join(filter(None, buckets)))


@kernel
def _pick(
    names: NDArray[np.uint64], places: NDArray[np.int64], ends: NDArray[np.int64], entries: bytes
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Of every bucket's entries, which end at `ends`, those of the name that was asked for, and these names' places."""
    which, postings = np.empty(len(entries) // ENTRY, dtype=np.int64), np.empty(len(entries) // ENTRY, dtype=np.uint64)
    count, at = 0, 0
    for i in range(len(places)):
        wanted = names[places[i]] & _REMAINDER
        while at < ends[i]:
            remainder = np.uint64(0)
            for place in range(REMAINDER_BITS // 8):
                remainder |= np.uint64(entries[at + place]) << np.uint64(8 * place)
            if remainder == wanted:
                posting = np.uint64(0)
                for place in range(ENTRY - 1, REMAINDER_BITS // 8 - 1, -1):
                    posting = (posting << _BYTE) | np.uint64(entries[at + place])
                which[count], postings[count] = places[i], posting
                count += 1
            at += ENTRY
    return which[:count], postings[:count]


@kernel
def _columns(postings: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    documents, positions = np.empty(len(postings), dtype=np.int64), np.empty(len(postings), dtype=np.int64)
    agreement = np.empty(len(postings), dtype=np.uint8)
    for at in range(len(postings)):
        posting = postings[at]
        owner, serial = posting & _OWNER, (posting >> _OWNER_SHIFT) & _SERIAL
        documents[at] = np.int64((owner << _SERIAL_SHIFT) | serial)
        positions[at] = np.int64((posting >> _POSITION_SHIFT) & _POSITION)
        agreement[at] = np.uint8(posting >> _AGREEMENT_SHIFT)
    return documents, positions, agreement
