"""Local alignment: from scattered postings to spans of a query that stand in a document, each worth so many bits.

The idea of BLAST (Altschul et al., J. Mol. Biol. 215, 1990) on tokens: shared fingerprints are seeds; seeds of one
document on one diagonal make a run; runs are chained across insertions and deletions at an affine price; and a chain is
worth the information of the query's tokens that it covers (guard.rarity). Knows no owners and no policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guard.chaining import DIAGONAL, END, START, Bits, draw_chains, scatter_bits
from guard.fingerprint import K
from guard.seeds import Mask, order_seeds

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHAINS_A_DOCUMENT = 4
"""Chains of one document that a reader is told of."""
SCATTERED_RUN = 12.0
"""Bits that a run costs if it may stand anywhere among 4,096 tokens: log2 of where."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """Fingerprints that query and index share, parallel arrays of one length.

    `queries` and `positions`: int64, first token in the query and, modulo 65,536, in the document. `documents`: int64
    ids. `exact`: bool, the runs agree to the letter.
    """

    queries: NDArray[np.int64]
    documents: NDArray[np.int64]
    positions: NDArray[np.int64]
    exact: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Chain:
    """Runs of one document in order. `covered` and `exact` are masks over the query's tokens.

    `diagonals`: on how many the runs lie; one means that nothing was inserted or deleted.
    """

    document: int
    bits: float
    start: int
    end: int
    diagonals: int
    covered: Mask
    exact: Mask


class Alignment:
    """The seeds of one query, sorted once, from which chains are drawn under changing worths of its tokens.

    `documents` holds the ids of all documents that share a seed, int64.
    """

    def __init__(self, seeds: Seeds, length: int) -> None:
        self._length = length
        columns = seeds.queries, seeds.documents, seeds.positions, seeds.exact
        self.documents, self._bounds, self._seeds = order_seeds(*columns)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many seeds each document shares, shape (documents,)."""
        return np.diff(self._bounds)

    def chains(
        self, wanted: Mask, bits: Bits, literal: Bits, floor: float, *, most: int = CHAINS_A_DOCUMENT
    ) -> list[Chain]:
        """The chains that are worth `floor` bits or more, best first, at most so many a document.

        `wanted`: the documents to look at, a mask over `documents`. `bits`: what each token of the query tells;
        `literal`: what it adds where it agrees to the letter; shapes (length,).
        """
        count = len(self._seeds[0])
        if not count or not wanted.any():
            return []
        where, worth = np.empty((count, 3), dtype=np.int64), np.empty(count, dtype=np.float64)
        runs = np.empty((count, 3), dtype=np.int64)
        totals = (_running(bits), _running(literal))
        found = draw_chains(self._bounds, wanted, self._seeds, totals, (floor, most), (where, worth, runs))
        order = np.argsort(-worth[:found], kind="stable")
        return [self._chain(where[i], float(worth[i]), runs) for i in order]

    def scattered(
        self, wanted: Mask, bits: Bits, literal: Bits, floor: float = 0.0
    ) -> tuple[Bits, NDArray[np.int64], Mask]:
        """What each document's runs are worth in whatever order they stand, their spans, and what they cover.

        Documents in which that is less than `floor` bits may be left out.

        Shapes (documents,), (documents, 3) and (length,); see `chaining.scatter_bits`.
        """
        covered = np.zeros(self._length, dtype=np.bool_)
        totals = (_running(bits), _running(literal))
        worth, spans = scatter_bits(self._bounds, wanted, self._seeds, totals, (SCATTERED_RUN, floor), covered)
        return worth, spans, covered

    def _chain(self, where: NDArray[np.int64], bits: float, runs: NDArray[np.int64]) -> Chain:
        row, first, last = where.tolist()
        covered = np.zeros(self._length, dtype=np.bool_)
        exact = np.zeros(self._length, dtype=np.bool_)
        mine = runs[first:last]
        low, high = self._bounds[row], self._bounds[row + 1]
        queries, diagonals, agreeing = (column[low:high] for column in self._seeds)
        for start, end, diagonal in mine.tolist():
            covered[start:end] = True
            # A run of which an earlier chain has a part begins, or ends, within a seed.
            inside = agreeing & (diagonals == diagonal) & (queries > start - K) & (queries < end)
            for at in queries[inside].tolist():
                exact[max(at, start) : min(at + K, end)] = True
        return Chain(
            document=int(self.documents[row]),
            bits=bits,
            start=int(mine[0, START]),
            end=int(mine[-1, END]),
            diagonals=len(np.unique(mine[:, DIAGONAL])),
            covered=covered,
            exact=exact,
        )


def _running(bits: Bits) -> Bits:
    """Running totals, one longer than the column."""
    totals = np.zeros(len(bits) + 1, dtype=np.float64)
    np.cumsum(bits, out=totals[1:])
    return totals
