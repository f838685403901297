"""How much a run of tokens tells: information in bits under a model of ordinary code. Knows neither owners nor index.

A shared idiom is no copy. A token of the renamed stream is worth -log2 of its probability under an interpolated n-gram
model of public code (orders 1 to 5) mixed with a model of the text itself (contexts of 4 tokens), which makes idioms
and repetitive code cheap: the bit score of alignment statistics (Karlin & Altschul, PNAS 87, 1990) with a background in
context in place of letter frequencies, and its masking of low complexity (Wootton & Federhen 1993). The model is
trained on public code only: counts of private code would leak it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from guard.stream import IDENTIFIER, NUMBER, STRING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guard.stream import TokenStream

ORDERS = 5
BUCKETS = 1 << 18
"""Counters an order: n-grams share one by hash."""
_SMOOTHING = 6.0
"""Weight of the lower order's estimate, in observations (Dirichlet smoothing)."""
_VOCABULARY = 150.0
_SELF_CONTEXT = 4
_SELF_WEIGHT = 0.5
_UNTRAINED_BITS = 2.0
"""Bits a token where there is no background, the mean of Python under its own."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
LITERAL_BITS = 1.5
"""What an identifier or literal adds when it agrees to the letter; names repeat, so far less than its own entropy."""

PROSE_LIMIT = 3.0
"""The most that a word in a comment tells: what surrounds it is not code."""

_IMPORT_WORDS = frozenset({"import", "from"})
_IMPORT_PARTS = frozenset({IDENTIFIER, STRING, ",", ".", "(", ")", "as", "*"})

Bits = NDArray[np.float64]


class Background:
    """Counts of n-grams of renamed tokens of one syntax's public code. Immutable once trained."""

    def __init__(self, counts: NDArray[np.uint32]) -> None:
        self._counts = counts
        self._total = float(counts[0].sum())

    @classmethod
    def empty(cls) -> Self:
        """A background of nothing: every token is worth the same."""
        return cls(np.zeros((ORDERS, BUCKETS), dtype=np.uint32))

    @classmethod
    def train(cls, streams: Iterable[list[str]]) -> Self:
        """Count the n-grams of renamed token streams."""
        counts = np.zeros((ORDERS, BUCKETS), dtype=np.uint32)
        for renamed in streams:
            for order, grams in enumerate(_grams(_symbols(renamed))):
                counts[order] += np.bincount(_slots(grams), minlength=BUCKETS).astype(np.uint32)
        return cls(counts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote; raises ValueError on anything else."""
        try:
            with np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False) as arrays:
                counts = arrays["counts"]
        except (zlib.error, zipfile.BadZipFile, EOFError, KeyError, OSError) as error:
            message = f"{len(data)} bytes that are no background"
            raise ValueError(message) from error
        if counts.shape != (ORDERS, BUCKETS) or counts.dtype != np.uint32:
            message = f"background of shape {counts.shape} and type {counts.dtype}"
            raise ValueError(message)
        return cls(counts)

    def to_bytes(self) -> bytes:
        """The counts, compressed."""
        buffer = io.BytesIO()
        np.savez(buffer, counts=self._counts)
        return zlib.compress(buffer.getvalue(), 6)

    @property
    def tokens(self) -> int:
        """Tokens it was trained on."""
        return int(self._total)

    def bits(self, stream: TokenStream) -> Bits:
        """Information of each token of the renamed stream, float64, shape (len(stream),)."""
        symbols = _symbols(stream.renamed)
        if not len(symbols):
            return np.empty(0, dtype=np.float64)
        grams = _grams(symbols)
        own, known = _self_probability(grams)
        general = self._probability(grams) if self._total else np.full(len(symbols), 2.0 ** (-_UNTRAINED_BITS))
        mixed = np.where(known, (1 - _SELF_WEIGHT) * general + _SELF_WEIGHT * own, general)
        bits: Bits = -np.log2(mixed)
        bits[_imports(stream.renamed)] = 0.0
        return bits

    def _probability(self, grams: list[NDArray[np.uint64]]) -> Bits:
        count = len(grams[0])
        estimate: Bits = np.full(count, 1.0 / _VOCABULARY)
        context: Bits = np.full(count, self._total)
        for order in range(1, ORDERS + 1):
            seen = self._counts[order - 1][_slots(grams[order - 1])].astype(np.float64)
            here = slice(order - 1, count)
            estimate[here] = (seen + _SMOOTHING * estimate[here]) / (np.maximum(context[here], seen) + _SMOOTHING)
            # The context of the next order is this order's gram, one token back.
            context = np.full(count, 0.0)
            context[order:] = seen[: count - order]
        return np.minimum(estimate, 1.0)


def _imports(renamed: list[str]) -> NDArray[np.bool_]:
    """The tokens of import statements: which modules a file needs is nobody's secret."""
    inside, mask = False, np.zeros(len(renamed), dtype=np.bool_)
    if _IMPORT_WORDS.isdisjoint(renamed):
        return mask
    for i, symbol in enumerate(renamed):
        inside = symbol in _IMPORT_WORDS or (inside and symbol in _IMPORT_PARTS)
        mask[i] = inside
    return mask


def literal_bits(stream: TokenStream) -> Bits:
    """What each token adds where it agrees to the letter, float64, shape (len(stream),)."""
    literal = {IDENTIFIER, STRING, NUMBER}
    return np.array([LITERAL_BITS if symbol in literal else 0.0 for symbol in stream.renamed], dtype=np.float64)


def without_prose(bits: Bits, stream: TokenStream) -> Bits:
    """The bits of comment words: nothing where name follows name, which the background, knowing code, finds rare."""
    names = np.array([symbol == IDENTIFIER for symbol in stream.renamed], dtype=np.bool_)
    pairs = names[1:] & names[:-1]
    prose = np.zeros(len(names), dtype=np.bool_)
    prose[1:] |= pairs
    prose[:-1] |= pairs
    return np.where(prose, 0.0, np.minimum(bits, PROSE_LIMIT))


def _self_probability(grams: list[NDArray[np.uint64]]) -> tuple[Bits, NDArray[np.bool_]]:
    """Each token's probability after its context by what this text did before, and whether the context was seen."""
    count = len(grams[0])
    probability = np.zeros(count)
    known = np.zeros(count, dtype=np.bool_)
    if count > _SELF_CONTEXT:
        longer = grams[_SELF_CONTEXT]
        earlier = _rank(grams[_SELF_CONTEXT - 1][: len(longer)])
        probability[_SELF_CONTEXT:] = _rank(longer) / (earlier + 0.5)
        known[_SELF_CONTEXT:] = earlier > 0
    return probability, known


def _rank(values: NDArray[np.uint64]) -> Bits:
    """How often each value occurred before, float64, shape (n,)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    fresh = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    firsts = np.flatnonzero(fresh)
    rank = np.empty(len(values))
    rank[order] = np.arange(len(values)) - firsts[np.cumsum(fresh) - 1]
    return rank


def _grams(symbols: NDArray[np.uint64]) -> list[NDArray[np.uint64]]:
    """Hashes of the runs of 1 to ORDERS symbols; run i begins at symbol i."""
    grams = [symbols]
    for order in range(1, ORDERS):
        shorter = grams[-1][: max(0, len(symbols) - order)]
        grams.append(shorter * _BASE + symbols[order:])
    return [gram ^ (gram >> np.uint64(29)) for gram in grams]


def _slots(grams: NDArray[np.uint64]) -> NDArray[np.int64]:
    return ((grams * _BASE) >> np.uint64(64 - 18)).astype(np.int64)


def _symbols(renamed: list[str]) -> NDArray[np.uint64]:
    return np.fromiter(map(_symbol, renamed), dtype=np.uint64, count=len(renamed))


@lru_cache(maxsize=4096)
def _symbol(token: str) -> int:
    """A public 64-bit number for a keyword, an operator or a class of names; the background holds public code only."""
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=8).digest(), "little")
