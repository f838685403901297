"""Seeds in order: by document, diagonal and token of the query. Compiled loops of guard.alignment.

Seeds are counted out to their documents, of which there are many with a few each, and put in order within each. Knows
no owners and no bits of information.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guard.kernels import kernel, part

DIAGONALS = 1 << 16
"""A diagonal is document position less query position, modulo this, as positions are stored."""

Column = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = tuple[Column, Column, Mask]
"""Tokens of the query, diagonals, and whether the runs agree to the letter."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
_UPPER = np.uint64(32)
_FEW = 24
"""Seeds that are faster put in order one by one."""


@kernel
def order_seeds(queries: Column, documents: Column, positions: Column, exact: Mask) -> tuple[Column, Column, Rows]:
    """Sort seeds by document, diagonal and token of the query; documents stand in the order of their first seed.

    All columns have the shape (seeds,). Returns documents; where the seeds of each begin, one longer; and the seeds.
    """
    ranks, found = _ranked(documents)
    bounds = np.zeros(len(found) + 1, dtype=np.int64)
    for rank in ranks:
        bounds[rank + 1] += 1
    bounds = np.cumsum(bounds)
    ends, packed = bounds[:-1].copy(), np.empty(len(queries), dtype=np.int64)
    for at in range(len(queries)):
        place = ends[ranks[at]]
        ends[ranks[at]] += 1
        # In one number whose order is the order wanted.
        diagonal = (positions[at] - queries[at]) % DIAGONALS
        packed[place] = (((diagonal << 32) | queries[at]) << 1) | np.int64(exact[at])
    columns = np.empty(len(queries), dtype=np.int64), np.empty(len(queries), dtype=np.int64)
    agreeing = np.empty(len(queries), dtype=np.bool_)
    for rank in range(len(found)):
        _sort(packed[bounds[rank] : bounds[rank + 1]])
    for at in range(len(packed)):
        seed = packed[at] >> 1
        columns[0][at], columns[1][at] = seed & 0xFFFFFFFF, seed >> 32
        agreeing[at] = packed[at] & 1
    return found, bounds, (columns[0], columns[1], agreeing)


@part
def _ranked(documents: Column) -> tuple[Column, Column]:
    """Each seed's document by its place among those that were found, and these."""
    size = 16
    while size < 2 * len(documents):
        size *= 2
    table, mask = np.full(size, -1, dtype=np.int64), np.int64(size - 1)
    ranks, found, count = np.empty_like(documents), np.empty_like(documents), 0
    for at in range(len(documents)):
        document = documents[at]
        place = np.int64((np.uint64(document) * _MIX) >> _UPPER) & mask
        while table[place] >= 0 and found[table[place]] != document:
            place = (place + 1) & mask
        if table[place] < 0:
            found[count] = document
            table[place] = count
            count += 1
        ranks[at] = table[place]
    return ranks, found[:count].copy()


@part
def _sort(numbers: Column) -> None:
    if len(numbers) > _FEW:
        numbers.sort()
        return
    for at in range(1, len(numbers)):
        number, place = numbers[at], at
        while place > 0 and numbers[place - 1] > number:
            numbers[place] = numbers[place - 1]
            place -= 1
        numbers[place] = number
