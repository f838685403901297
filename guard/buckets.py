"""The buckets that a document stands in, as a short text of bytes. Knows no store.

Elias-Fano coding (Elias: Efficient storage and retrieval by content and address of static files, JACM 1974; Fano 1971):
of every number the lower bits as they are, of the upper ones how many numbers share them, in unary. That is within half
a bit a number of what a set of this size needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.layout import BUCKET_BITS, BUCKETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COUNT = 3
"""Bytes of the count in front."""


def encoded(buckets: NDArray[np.int64]) -> bytes:
    """The bytes of a set of bucket numbers, which must be sorted and distinct."""
    count = len(buckets)
    if not count:
        return bytes(_COUNT)
    width = _width(count)
    lower = ((buckets[:, None] >> np.arange(width)) & 1).astype(np.uint8)
    upper = np.zeros(count + (BUCKETS >> width), dtype=np.uint8)
    upper[(buckets >> width) + np.arange(count)] = 1
    return count.to_bytes(_COUNT, "little") + np.packbits(lower).tobytes() + np.packbits(upper).tobytes()


def decoded(data: bytes) -> NDArray[np.int64]:
    """The bucket numbers that `encoded` was given.

    Raises:
        ValueError: these are not such bytes.
    """
    count = int.from_bytes(data[:_COUNT], "little")
    if len(data) < _COUNT or count > BUCKETS:
        _refuse()
    if not count:
        return np.empty(0, dtype=np.int64)
    width = _width(count)
    split = _COUNT + (count * width + 7) // 8
    if len(data) != split + (count + (BUCKETS >> width) + 7) // 8:
        _refuse()
    raw = np.frombuffer(data, dtype=np.uint8)
    lower = np.unpackbits(raw[_COUNT:split])[: count * width].reshape(count, width).astype(np.int64)
    upper = np.flatnonzero(np.unpackbits(raw[split:]))
    if len(upper) != count:
        _refuse()
    buckets: NDArray[np.int64] = ((upper - np.arange(count)) << width) | (lower << np.arange(width)).sum(axis=1)
    if buckets[-1] >= BUCKETS or (np.diff(buckets) <= 0).any():
        _refuse()
    return buckets


def _width(count: int) -> int:
    return max(0, BUCKET_BITS - count.bit_length())


def _refuse() -> None:
    message = "a list of buckets that is none"
    raise ValueError(message)
