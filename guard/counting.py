"""Counting n-grams of public code into a background model. Knows no files.

An n-gram of six tokens or more is kept only if several trees have it: what one project alone writes is not ordinary,
and most long n-grams are of that kind.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from guard.background import ORDERS, Background, gram_keys, literal_keys
from guard.errors import BackgroundError
from guard.pattern import pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from guard.stream import TokenStream

    _Column = tuple[NDArray[np.uint64], NDArray[np.int64]]

SHORT = 5
"""Tokens of the n-grams that are kept whoever has them."""
TREES = 5
"""Trees that must have a longer one, or a literal."""


def count(trees: Iterable[Iterable[TokenStream]], language: str, *, least_trees: int = TREES) -> Background:
    """The model of trees of token streams.

    `least_trees`: how many trees must have a literal, or an n-gram of more than SHORT tokens. Raises BackgroundError if
    there is not a token.
    """
    columns: list[list[_Column]] = [[] for _ in range(ORDERS + 1)]
    tokens = 0
    for tree in trees:
        streams = list(tree)
        tokens += sum(map(len, streams))
        for order, column in enumerate(columns):
            keys = [_keys(stream, order) for stream in streams]
            if keys:
                column.append(np.unique(np.concatenate(keys), return_counts=True))
    if not tokens:
        message = "a background model of no code: name trees that hold some"
        raise BackgroundError(message)
    summed = [_summed(column, 1 if 1 <= order <= SHORT else least_trees) for order, column in enumerate(columns)]
    keys_, counts = (np.concatenate(parts) for parts in zip(*summed, strict=True))
    return replace(Background.of_counts(keys_, counts, language), tokens=tokens)


def _keys(stream: TokenStream, order: int) -> NDArray[np.uint64]:
    """The keys of a stream's n-grams of one order; of its literals for order 0."""
    if order:
        return gram_keys(pattern_of(stream), order)
    return literal_keys(stream.text, stream.symbols, stream.value_starts, stream.value_ends)


def _summed(column: list[_Column], least_trees: int) -> _Column:
    """The n-grams of one order that so many trees have, and how often all have each."""
    keys = np.concatenate([keys for keys, _ in column])
    counts = np.concatenate([counts for _, counts in column])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    firsts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
    trees = np.diff(firsts, append=len(keys))
    total = np.add.reduceat(counts, firsts) if len(keys) else counts
    kept = trees >= least_trees
    return keys[firsts][kept], total[kept]
