"""Which files of one organization are copies of one another: duplicates make a model memorize.

A file is a near duplicate when most of its windows of words resemble windows of one earlier file, by datasketch's
MinHash signatures (Broder 1997) found through their LSH bands. Names, literals and comments count, unlike at the guard:
a model learns them, and files that are alike but for their names are worth learning from. Knows neither paths nor
licences, and keeps no text.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from datasketch import MinHash

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 128
"""Words of a window."""
STRIDE = 64
"""Words from one remembered window to the next."""
QUERY_STRIDE = 32
"""Words from one compared window to the next: no remembered window is further than half of this away."""
MIN_WORDS = 40
SHINGLE = 5
PERMUTATIONS = 64
ROWS = 4
"""Values of a signature that make a band."""
SIMILAR = 0.5
"""Estimated Jaccard similarity of two windows that count as alike: at worst they lie a quarter of a window apart, which
leaves equal text at 0.6."""
SHARE = 0.8
"""Share of a file's windows that must resemble windows of one other file."""
BAND_LIMIT = 50
"""Windows remembered under one band: what more have in common is boilerplate and tells nothing."""

_WORD = re.compile(r"\w++|[^\w\s]")


class Copy(StrEnum):
    """How a file repeats an earlier one."""

    EXACT = "exact duplicate"
    NEAR = "near duplicate"


@dataclass(frozen=True, slots=True)
class _Window:
    """A signed window. `signature`: the lowest byte of each value (b-bit minwise hashing, Li & König 2010)."""

    start: int
    signature: NDArray[np.uint8]
    bands: tuple[int, ...]


class Originals:
    """The files seen so far that were no copies. Memory: about 12 bytes a character of source."""

    def __init__(self) -> None:
        self._texts: set[bytes] = set()
        self._files = 0
        # Bytes and tuples: arrays and lists would take twice the room.
        self._windows: list[tuple[int, bytes]] = []
        self._bands: dict[int, tuple[int, ...]] = {}

    def admit(self, text: str) -> Copy | None:
        """Say of what kind a copy `text` is; if it is none, remember it."""
        digest = hashlib.blake2b("\n".join(text.split()).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._texts:
            return Copy.EXACT
        windows = _signed(text)
        if self._resembles_one(windows):
            return Copy.NEAR
        self._texts.add(digest)
        self._remember(windows)
        return None

    def _resembles_one(self, windows: list[_Window]) -> bool:
        alike: Counter[int] = Counter()
        for window in windows:
            found = {known for band in window.bands for known in self._bands.get(band, ())}
            candidates = (self._windows[known] for known in found)
            alike.update({file for file, other in candidates if _similarity(window.signature, other) >= SIMILAR})
        return any(count >= SHARE * len(windows) for count in alike.values())

    def _remember(self, windows: list[_Window]) -> None:
        """Keep every other window: those that are compared are dense enough to meet them."""
        for window in windows:
            if window.start % STRIDE and window is not windows[-1]:
                continue
            for band in window.bands:
                known = self._bands.get(band, ())
                if len(known) < BAND_LIMIT:
                    self._bands[band] = (*known, len(self._windows))
            self._windows.append((self._files, window.signature.tobytes()))
        self._files += 1


def _similarity(one: NDArray[np.uint8], other: bytes) -> float:
    """The estimated Jaccard similarity of two signatures, 0 to 1, corrected for chance equality of bytes."""
    equal = float(np.mean(one == np.frombuffer(other, dtype=np.uint8)))
    return max(0.0, (equal - 1 / 256) / (1 - 1 / 256))


def _signed(text: str) -> list[_Window]:
    """The windows of a text's words and signs, the last flush with its end; none if there are too few words."""
    words = _WORD.findall(text)
    if len(words) < MIN_WORDS:
        return []
    shingles = [
        " ".join(words[i : i + SHINGLE]).encode("utf-8", "surrogatepass") for i in range(len(words) - SHINGLE + 1)
    ]
    last = max(0, len(words) - WINDOW)
    starts = [*range(0, last, QUERY_STRIDE), last]
    sets = [shingles[start : start + WINDOW - SHINGLE + 1] for start in starts]
    return [
        _Window(start, (signed.hashvalues & 0xFF).astype(np.uint8), _bands(signed.hashvalues))
        for start, signed in zip(starts, MinHash.bulk(sets, num_perm=PERMUTATIONS), strict=True)
    ]


def _bands(values: NDArray[np.uint32]) -> tuple[int, ...]:
    return tuple(hash((row, values[row : row + ROWS].tobytes())) for row in range(0, PERMUTATIONS, ROWS))
