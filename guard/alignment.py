"""Local alignment: from scattered postings to spans of a query that stand in a document, each worth so many bits.

The idea of BLAST (Altschul et al., J. Mol. Biol. 215, 1990) on tokens: shared fingerprints are seeds; seeds of one
document on one diagonal make a run; runs are chained across insertions and deletions at an affine price; and a chain is
worth the information of the query's tokens that it covers (guard.rarity). Knows no owners and no policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from guard.fingerprint import K

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.rarity import Bits

GAP_OPEN = 3.0
"""Bits that any insertion or deletion costs."""
GAP_TOKEN = 0.15
"""Bits a token of it costs."""
GAP_LIMIT = 60
"""Tokens that may be inserted or deleted between two runs of one chain."""
RUNS_A_DOCUMENT = 64
CHAINS_A_DOCUMENT = 4
"""Chains of one document that a reader is told of."""
_ROUNDING = 1e-6

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seeds:
    """Fingerprints that query and index share, parallel arrays of one length.

    `queries` and `positions`: int64, first token in the query and in the document. `documents`: int64 ids.
    `exact`: bool, from the exact stream.
    """

    queries: NDArray[np.int64]
    documents: NDArray[np.int64]
    positions: NDArray[np.int64]
    exact: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Run:
    """Tokens [start, end) of the query that stand at start + diagonal in the document, without a gap."""

    start: int
    end: int
    diagonal: int
    bits: float


@dataclass(frozen=True, slots=True)
class Chain:
    """Runs of one document in order. `covered` and `exact` are masks over the query's tokens."""

    document: int
    runs: tuple[Run, ...]
    bits: float
    covered: Mask
    exact: Mask

    @property
    def start(self) -> int:
        """First token of the query that is covered."""
        return self.runs[0].start

    @property
    def end(self) -> int:
        """One past the last token of the query that is covered."""
        return self.runs[-1].end


class Alignment:
    """The seeds of one query, sorted once, from which chains are drawn under changing worths of its tokens.

    `documents` holds the ids of all documents that share a seed, int64, ascending.
    """

    def __init__(self, seeds: Seeds, length: int) -> None:
        self._length = length
        diagonals = seeds.positions - seeds.queries
        order = np.lexsort((seeds.queries, diagonals, seeds.documents))
        documents = seeds.documents[order]
        self._queries = seeds.queries[order]
        self._diagonals = diagonals[order]
        self._exact = seeds.exact[order]
        fresh = _fresh(documents)
        self.documents: NDArray[np.int64] = documents[fresh]
        self._rows: NDArray[np.int64] = np.cumsum(fresh) - 1
        firsts, lasts = self._runs()
        self._starts, self._ends = self._queries[firsts], self._queries[lasts] + K
        self._run_diagonals, self._run_rows = self._diagonals[firsts], self._rows[firsts]
        # What one chain can hold at most: no gap takes it from one band of diagonals to the next.
        fresh[1:] |= np.diff(self._diagonals) > GAP_LIMIT
        self._band_rows = self._rows[fresh]
        self._bands = _Cover.of(np.cumsum(fresh) - 1, self._queries)
        self._agreed = _Cover.of(self._rows[self._exact], self._queries[self._exact])

    def chains(
        self, wanted: Mask, bits: Bits, literal: Bits, floor: float, *, most: int = CHAINS_A_DOCUMENT
    ) -> list[Chain]:
        """The chains that are worth `floor` bits or more, best first, at most so many a document.

        `wanted`: the documents to look at, a mask over `documents`. `bits`: what each token of the query tells;
        `literal`: what it adds where it agrees to the letter; shapes (length,).
        """
        total = np.concatenate([[0.0], np.cumsum(bits)])
        rows = self._promising(wanted, total, literal, floor)
        if not len(rows):
            return []
        worth = total[self._ends] - total[self._starts]
        totals = total.tolist()
        bounds = zip(rows.tolist(), *(np.searchsorted(self._run_rows, rows + i).tolist() for i in (0, 1)), strict=True)
        chains: list[Chain] = []
        for row, low, high in bounds:
            best = np.argsort(-worth[low:high], kind="stable")[:RUNS_A_DOCUMENT] + low
            columns = (self._starts[best], self._ends[best], self._run_diagonals[best], worth[best])
            runs = [Run(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]
            drawn = _chains_of(int(self.documents[row]), runs, totals, self._exact_mask(row), literal, floor)
            chains += islice(drawn, most)
        chains.sort(key=lambda chain: -chain.bits)
        return chains

    def _promising(self, wanted: Mask, total: Bits, literal: Bits, floor: float) -> NDArray[np.int64]:
        """Rows of the wanted documents that could reach the floor, by bounds that are found for all at once."""
        literals = np.concatenate([[0.0], np.cumsum(literal)])
        agreed = self._agreed.worth(literals, len(self.documents))[self._band_rows]
        count = len(self._band_rows)
        # Sums taken in another order differ in their last digits.
        least = floor - _ROUNDING - agreed
        able = wanted[self._band_rows] & (self._bands.worth(total, count) >= least)
        if able.any():
            able &= self._bands.stretches(total, able) >= least
            able &= self._bands.stretches(total + literals, able) >= least + agreed
        return _values(self._band_rows[able])

    def _runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last seed of each run: neighbours on one diagonal whose tokens touch."""
        broken = _fresh(self._rows)
        broken[1:] |= self._diagonals[1:] != self._diagonals[:-1]
        broken[1:] |= self._queries[1:] - self._queries[:-1] > K
        firsts = np.flatnonzero(broken)
        return firsts, np.append(firsts, len(broken))[1:] - 1

    def _exact_mask(self, row: int) -> Mask:
        low, high = np.searchsorted(self._rows, [row, row + 1])
        mask = np.zeros(self._length, dtype=np.bool_)
        for start in self._queries[low:high][self._exact[low:high]].tolist():
            mask[start : start + K] = True
        return mask


@dataclass(frozen=True, slots=True)
class _Cover:
    """The tokens that groups of seeds cover, every token once a group: intervals [begins, ends), each of one group."""

    groups: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, groups: NDArray[np.int64], queries: NDArray[np.int64]) -> _Cover:
        """The cover of seeds that begin at token `queries`; `groups` are numbered from 0."""
        order = np.lexsort((queries, groups))
        groups, begins = groups[order], queries[order]
        ends = begins + K
        begins[1:] = np.where(_fresh(groups)[1:], begins[1:], np.maximum(begins[1:], ends[:-1]))
        return cls(groups, begins, ends)

    def worth(self, total: Bits, count: int) -> Bits:
        """What each of `count` groups covers is worth, by running totals of the tokens' worth; shape (count,)."""
        gained = total[self.ends] - total[self.begins]
        return np.bincount(self.groups, weights=gained, minlength=count).astype(np.float64)

    def stretches(self, total: Bits, able: Mask) -> Bits:
        """The best stretch of each able group, by the same totals; shape (groups,), nothing for the others.

        A stretch is what is covered from one place to another less the price of what is left out between: the best
        sum of consecutive numbers (Kadane's), for all groups at once.
        """
        best = np.full(len(able), -np.inf)
        chosen = able[self.groups]
        groups, begins, ends = self.groups[chosen], self.begins[chosen], self.ends[chosen]
        if not len(groups):
            return best
        gaps = np.append(0, begins[1:] - ends[:-1])
        apart = _fresh(groups) | (gaps > GAP_LIMIT)
        gained = total[ends] - total[begins]
        reached = np.cumsum(gained - np.where(apart, 0.0, GAP_TOKEN * gaps))
        before = reached - gained
        # The least from which a stretch can begin: a running minimum, begun anew wherever a step down is put in.
        steps = np.cumsum(apart) * (before.max() - before.min() + 1.0)
        np.maximum.at(best, groups, reached - np.minimum.accumulate(before - steps) - steps)
        return best


def _values(ordered: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct values of a sorted column."""
    return ordered[_fresh(ordered)]


def _fresh(values: NDArray[np.int64]) -> Mask:
    """Where a sorted column's value differs from the one before; shape (n,)."""
    fresh = np.ones(len(values), dtype=np.bool_)
    fresh[1:] = values[1:] != values[:-1]
    return fresh


def _chains_of(
    document: int, runs: list[Run], total: list[float], exact: Mask, literal: Bits, floor: float
) -> Iterator[Chain]:
    """Draw the best chain, then the best of the runs left outside its span, and so on."""
    runs.sort(key=lambda run: (run.start, run.end))
    while runs:
        path, score = _best_path(runs, total)
        covered = np.zeros(len(exact), dtype=np.bool_)
        for run in path:
            covered[run.start : run.end] = True
        agreed = covered & exact
        score += float(literal[agreed].sum())
        if score < floor:
            return
        yield Chain(document, tuple(path), score, covered, agreed)
        runs = [run for run in runs if run.end <= path[0].start or run.start >= path[-1].end]


def _best_path(runs: list[Run], total: list[float]) -> tuple[list[Run], float]:
    """The best chain of runs in order of their start: dynamic programming, quadratic in at most RUNS_A_DOCUMENT.

    `total` has the running totals of the tokens' worth, one more than there are tokens.
    """
    scores: list[float] = []
    before: list[int] = []
    for i, run in enumerate(runs):
        best, link, diagonal = run.bits, -1, run.diagonal
        for j in range(i):
            other = runs[j]
            # Most pairs lie too far apart; the price says so too, at ten times the cost.
            if not -GAP_LIMIT <= diagonal - other.diagonal <= GAP_LIMIT:
                continue
            price = _price(other, run)
            if price is None:
                continue
            # What two runs share counts once.
            gained = total[run.end] - total[max(run.start, other.end)]
            if scores[j] + gained - price > best:
                best, link = scores[j] + gained - price, j
        scores.append(best)
        before.append(link)
    at = max(range(len(scores)), key=scores.__getitem__)
    score, path = scores[at], []
    while at >= 0:
        path.append(runs[at])
        at = before[at]
    return path[::-1], score


def _price(one: Run, two: Run) -> float | None:
    """Bits that it costs to go on from one run to the next; None if that is not possible."""
    if two.end <= one.end or two.start <= one.start or two.start + two.diagonal <= one.start + one.diagonal:
        return None
    query = max(0, two.start - one.end)
    document = max(0, (two.start + two.diagonal) - (one.end + one.diagonal))
    gap = max(query, document, abs(two.diagonal - one.diagonal))
    if gap > GAP_LIMIT:
        return None
    return GAP_OPEN + GAP_TOKEN * gap if gap else 0.0
