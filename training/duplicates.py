"""Which files of one organization are copies of one another: duplicates make a model memorize.

A file is a near duplicate when most of its windows of words resemble windows of one earlier file, by the guard's keyed
MinHash signatures (Broder 1997) found through their LSH bands. Names, literals and comments count, unlike at the guard:
a model learns them, and files that are alike but for their names are worth learning from. Knows neither paths nor
licences, and keeps no text.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from guard.fingerprint import Fingerprinter
from guard.minhash import QUERY_STRIDE, STRIDE, Fragments, Signer, similarity
from guard.stream import TokenStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from guard.secret import IndexKey

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


class Originals:
    """The files seen so far that were no copies. Memory: about 12 bytes a character of source."""

    def __init__(self, key: IndexKey) -> None:
        self._signer = Signer(key, Fingerprinter(key))
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
        fragments = self._signer.fragments(_words(text), QUERY_STRIDE)
        if self._resembles_one(fragments):
            return Copy.NEAR
        self._texts.add(digest)
        self._remember(fragments)
        return None

    def _resembles_one(self, fragments: Fragments) -> bool:
        alike: Counter[int] = Counter()
        for signature, bands in zip(fragments.signatures, fragments.bands, strict=True):
            found = {window for band in bands for window in self._bands.get(int(band), ())}
            candidates = (self._windows[window] for window in found)
            alike.update({file for file, other in candidates if _similarity(signature, other) >= SIMILAR})
        return any(count >= SHARE * len(fragments) for count in alike.values())

    def _remember(self, fragments: Fragments) -> None:
        """Keep every other window, as the guard's index does: a query's are dense enough to meet them."""
        last = len(fragments) - 1
        for row, (start, signature, bands) in enumerate(
            zip(fragments.starts, fragments.signatures, fragments.bands, strict=True)
        ):
            if start % STRIDE and row != last:
                continue
            for band in bands:
                windows = self._bands.get(int(band), ())
                if len(windows) < BAND_LIMIT:
                    self._bands[int(band)] = (*windows, len(self._windows))
            self._windows.append((self._files, signature.tobytes()))
        self._files += 1


def _similarity(one: NDArray[np.uint8], other: bytes) -> float:
    return similarity(one, np.frombuffer(other, dtype=np.uint8))


def _words(text: str) -> TokenStream:
    """Words and signs; a signature is made of the stream that has names and literals as they are."""
    found = list(_WORD.finditer(text))
    words = [word.group() for word in found]
    return TokenStream(words, words, [word.start() for word in found], [word.end() for word in found])
