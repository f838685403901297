"""Local alignment: from scattered postings to spans of a query that stand in a document, each worth so many bits.

The idea of BLAST (Altschul et al., J. Mol. Biol. 215, 1990) on tokens: shared fingerprints are seeds; seeds of one
document on one diagonal make a run; runs are chained across insertions and deletions at an affine price; and a chain is
worth the information of the query's tokens that it covers (guard.rarity). Knows no owners and no policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from guard.fingerprint import K

if TYPE_CHECKING:
    from guard.rarity import Bits

GAP_OPEN = 3.0
"""Bits that any insertion or deletion costs."""
GAP_TOKEN = 0.15
"""Bits a token of it costs."""
GAP_LIMIT = 60
"""Tokens that may be inserted or deleted between two runs of one chain."""
RUNS_A_DOCUMENT = 64
CHAINS_A_DOCUMENT = 4

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
    """The seeds of one query, sorted once, from which chains are drawn under changing worths of its tokens."""

    def __init__(self, seeds: Seeds, length: int) -> None:
        self._length = length
        diagonals = seeds.positions - seeds.queries
        order = np.lexsort((seeds.queries, diagonals, seeds.documents))
        self._queries = seeds.queries[order]
        self._diagonals = diagonals[order]
        self._documents = seeds.documents[order]
        self._exact = seeds.exact[order]
        self._firsts, self._lasts = self._runs()

    def documents(self) -> NDArray[np.int64]:
        """Ids of all documents that share a seed, ascending."""
        return np.unique(self._documents)

    def chains(self, documents: NDArray[np.int64], bits: Bits, literal: Bits, floor: float) -> list[Chain]:
        """The chains of these documents that are worth `floor` bits or more, best first.

        `bits`: what each token of the query tells; `literal`: what it adds where it agrees to the letter.
        Shapes (length,).
        """
        if not len(self._queries):
            return []
        total = np.concatenate([[0.0], np.cumsum(bits)])
        starts, ends = self._queries[self._firsts], self._queries[self._lasts] + K
        worth = total[np.minimum(ends, self._length)] - total[starts]
        owners = self._documents[self._firsts]
        chains: list[Chain] = []
        for document in _promising(owners, worth, documents, floor, float(literal.sum())):
            runs = np.flatnonzero(owners == document)
            runs = runs[np.argsort(-worth[runs], kind="stable")[:RUNS_A_DOCUMENT]]
            found = [
                Run(int(starts[i]), int(ends[i]), int(self._diagonals[self._firsts[i]]), float(worth[i])) for i in runs
            ]
            exact = self._exact_mask(int(document))
            chains += _chains_of(int(document), found, total, exact, literal, floor)
        chains.sort(key=lambda chain: -chain.bits)
        return chains

    def _runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last seed of each run: neighbours on one diagonal whose tokens touch."""
        count = len(self._queries)
        if not count:
            empty = np.empty(0, dtype=np.int64)
            return empty, empty
        broken = (
            (self._documents[1:] != self._documents[:-1])
            | (self._diagonals[1:] != self._diagonals[:-1])
            | (self._queries[1:] - self._queries[:-1] > K)
        )
        firsts = np.flatnonzero(np.concatenate([[True], broken]))
        lasts = np.concatenate([firsts[1:] - 1, [count - 1]])
        return firsts, lasts

    def _exact_mask(self, document: int) -> Mask:
        low, high = np.searchsorted(self._documents, [document, document + 1])
        mask = np.zeros(self._length, dtype=np.bool_)
        for start in self._queries[low:high][self._exact[low:high]]:
            mask[start : start + K] = True
        return mask


def _promising(
    owners: NDArray[np.int64], worth: Bits, documents: NDArray[np.int64], floor: float, literal: float
) -> NDArray[np.int64]:
    """Documents whose runs could together reach the floor: an upper bound, cheap for all at once."""
    ids, inverse = np.unique(owners, return_inverse=True)
    sums = np.bincount(inverse, weights=worth, minlength=len(ids))
    reach: NDArray[np.int64] = ids[(sums + literal >= floor) & np.isin(ids, documents)]
    return reach


def _chains_of(document: int, runs: list[Run], total: Bits, exact: Mask, literal: Bits, floor: float) -> list[Chain]:
    """Draw the best chain, then the best of the runs left outside its span, and so on."""
    chains: list[Chain] = []
    while runs and len(chains) < CHAINS_A_DOCUMENT:
        path, score = _best_path(sorted(runs, key=lambda run: (run.start, run.end)), total)
        covered = np.zeros(len(exact), dtype=np.bool_)
        for run in path:
            covered[run.start : run.end] = True
        agreed = covered & exact
        score += float(literal[agreed].sum())
        if score < floor:
            break
        chains.append(Chain(document, tuple(path), score, covered, agreed))
        runs = [run for run in runs if run.end <= path[0].start or run.start >= path[-1].end]
    return chains


def _best_path(runs: list[Run], total: Bits) -> tuple[list[Run], float]:
    """The best chain of runs in order of their start: dynamic programming, quadratic in at most RUNS_A_DOCUMENT."""
    scores: list[float] = []
    before: list[int] = []
    for i, run in enumerate(runs):
        best, link = run.bits, -1
        for j in range(i):
            price = _price(runs[j], run)
            if price is None:
                continue
            # What two runs share counts once.
            gained = float(total[run.end] - total[max(run.start, min(runs[j].end, run.end))])
            if scores[j] + gained - price > best:
                best, link = scores[j] + gained - price, j
        scores.append(best)
        before.append(link)
    at = int(np.argmax(scores))
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
