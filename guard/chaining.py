"""Chaining: from the seeds of one document to runs, from runs to the best chains. Compiled loops of guard.alignment.

Seeds are rows sorted by document, diagonal and query token. A diagonal is document position less query position, modulo
DIAGONALS, as positions are stored. Knows no owners and no bits but those it is given.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guard.fingerprint import K
from guard.kernels import kernel, part
from guard.seeds import DIAGONALS, Column, Mask

GAP_OPEN = 3.0
"""Bits that any insertion or deletion costs."""
GAP_TOKEN = 0.15
"""Bits a token of it costs."""
GAP_LIMIT = 60
"""Tokens that may be inserted or deleted between two runs of one chain."""
RUNS_A_DOCUMENT = 64
"""The runs of one document that are chained, the most telling ones."""
_HALF = DIAGONALS // 2
START, END, DIAGONAL, SIDE = 0, 1, 2, 3
"""Columns of a run: its tokens [start, end) of the query; and how many chains already drawn stand before it."""
ALL, AGREED = 0, 1
"""Columns of what runs are worth: in all, and how much of that because they agree to the letter."""

Bits = NDArray[np.float64]


@kernel
def draw_chains(
    bounds: Column,
    wanted: Mask,
    seeds: tuple[Column, Column, Mask],
    totals: tuple[Bits, Bits],
    limits: tuple[float, int],
    chains: tuple[Column, Bits, Column],
) -> int:
    """Draw the chains worth enough of the wanted documents; return how many they are.

    `bounds`: int64, shape (documents + 1,), where each document's seeds begin. `seeds`: query tokens, diagonals, and
    whether the runs agree to the letter. `totals`: running totals, one longer than the query, of what its tokens tell,
    and of what they add where they agree. `limits`: the least bits of a chain, and the most chains a document. Filled
    are `chains`: for each its document's row, its first run and one past its last; its bits; and the runs, shape
    (seeds, 3), see START, END, DIAGONAL.
    """
    queries, diagonals, agreeing = seeds
    floor, most = limits
    where, worth, runs = chains
    found = written = 0
    for row in range(len(bounds) - 1):
        low, high = bounds[row], bounds[row + 1]
        if not wanted[row]:
            continue
        mine = queries[low:high], diagonals[low:high], agreeing[low:high]
        if _most(mine[0], mine[1], mine[2], totals, 0.0) < floor:
            continue
        table, weights = _runs(mine[0], mine[1], mine[2], totals)
        drawn = 0
        while len(table) and drawn < most:
            path, score = _best_path(table, weights, totals)
            if score < floor:
                break
            where[found, 0], where[found, 1], where[found, 2] = row, written, written + len(path)
            worth[found] = score
            for at in path:
                runs[written] = table[at, :SIDE]
                written += 1
            found += 1
            drawn += 1
            table, weights = _outside(table, weights, totals, table[path[0], START], table[path[-1], END])
    return found


@part
def _most(queries: Column, diagonals: Column, agreeing: Mask, totals: tuple[Bits, Bits], price: float) -> float:
    """What all runs together are worth if each costs `price`: never less than a chain of them. Makes no table."""
    worth = run = 0.0
    end = agreed = np.int64(0)
    for i in range(len(queries)):
        at = queries[i]
        if not i or diagonals[i] != diagonals[i - 1] or at - queries[i - 1] > K:
            worth += max(0.0, run - price)
            run, end, agreed = 0.0, at, at
        run += totals[0][at + K] - totals[0][end]
        end = at + K
        if agreeing[i]:
            run += totals[1][end] - totals[1][max(agreed, at)]
            agreed = end
    return worth + max(0.0, run - price)


@part
def _runs(queries: Column, diagonals: Column, agreeing: Mask, totals: tuple[Bits, Bits]) -> tuple[Column, Bits]:
    """Neighbours on one diagonal whose tokens touch, in order of their start, the RUNS_A_DOCUMENT best of them."""
    table = np.zeros((len(queries), 4), dtype=np.int64)
    weights = np.zeros((len(queries), 2), dtype=np.float64)
    count = 0
    agreed = np.int64(0)
    for i in range(len(queries)):
        at = queries[i]
        if i and diagonals[i] == diagonals[i - 1] and at - queries[i - 1] <= K:
            table[count - 1, END] = at + K
        else:
            table[count, START], table[count, END], table[count, DIAGONAL] = at, at + K, diagonals[i]
            agreed = at
            count += 1
        if agreeing[i]:
            weights[count - 1, AGREED] += totals[1][at + K] - totals[1][max(agreed, at)]
            agreed = at + K
    for i in range(count):
        weights[i, ALL] = weights[i, AGREED] + totals[0][table[i, END]] - totals[0][table[i, START]]
    kept = np.arange(count)
    if count > RUNS_A_DOCUMENT:
        kept = np.argsort(-weights[:count, ALL], kind="mergesort")[:RUNS_A_DOCUMENT]
    kept = kept[np.argsort(table[kept, START] * DIAGONALS + table[kept, DIAGONAL], kind="mergesort")]
    return table[kept], weights[kept]


@part
def _best_path(table: Column, weights: Bits, totals: tuple[Bits, Bits]) -> tuple[Column, float]:
    """The best chain by dynamic programming, quadratic in at most RUNS_A_DOCUMENT: rows of the table, and its bits."""
    count, best = len(table), 0
    scores, before = weights[:, ALL].copy(), np.full(count, -1, dtype=np.int64)
    for i in range(count):
        for j in range(i):
            price = _price(table[j], table[i])
            if price < 0.0:
                continue
            gained = _beyond(table[i], weights[i], table[i, START] + _shared(table[j], table[i]), totals) - price
            if scores[j] + gained > scores[i]:
                scores[i], before[i] = scores[j] + gained, j
        if scores[i] > scores[best]:
            best = i
    length, at = 0, best
    while at >= 0:
        length += 1
        at = before[at]
    path, at = np.empty(length, dtype=np.int64), best
    for place in range(length - 1, -1, -1):
        path[place] = at
        at = before[at]
    return path, scores[best]


@part
def _shift(one: Column, two: Column) -> np.int64:
    """How many tokens of the document are left out between two diagonals; of the query, if negative."""
    return np.int64((two[DIAGONAL] - one[DIAGONAL] + _HALF) % DIAGONALS - _HALF)


@part
def _shared(one: Column, two: Column) -> np.int64:
    """Tokens at the start of `two` that stand in `one` as well, in the query or in the document."""
    ahead = two[START] - one[END]
    shared = max(-ahead, -(ahead + _shift(one, two)), 0)
    return np.int64(min(shared, two[END] - two[START]))


@part
def _beyond(run: Column, weights: Bits, start: int, totals: tuple[Bits, Bits]) -> float:
    """What a run is worth from `start` on, at least: what two runs share counts once."""
    agreed = min(weights[AGREED], totals[1][start] - totals[1][run[START]])
    return float(weights[ALL] - agreed - (totals[0][start] - totals[0][run[START]]))


@part
def _price(one: Column, two: Column) -> float:
    """Bits that it costs to go on from one run to the next; negative if that is not possible."""
    shift = _shift(one, two)
    if two[SIDE] != one[SIDE]:
        return -1.0
    if two[END] <= one[END] or two[START] <= one[START] or two[START] + shift <= one[START]:
        return -1.0
    ahead = two[START] - one[END]
    gap = max(ahead, ahead + shift, abs(shift), 0)
    if gap > GAP_LIMIT:
        return -1.0
    return GAP_OPEN + GAP_TOKEN * gap if gap else 0.0


@part
def _outside(table: Column, weights: Bits, totals: tuple[Bits, Bits], start: int, end: int) -> tuple[Column, Bits]:
    """What of the runs lies outside a span of the query; what lies behind it can follow nothing before it.

    Of a run over the whole span that is what lies behind.
    """
    kept = np.ones(len(table), dtype=np.bool_)
    for i in range(len(table)):
        if table[i, END] > end:
            if table[i, START] < end:
                weights[i, ALL] = _beyond(table[i], weights[i], end, totals)
                weights[i, AGREED] -= min(weights[i, AGREED], totals[1][end] - totals[1][table[i, START]])
                table[i, START] = end
            table[i, SIDE] += 1
        elif table[i, END] > start:
            kept[i] = table[i, START] < start
            cut = min(weights[i, AGREED], totals[1][table[i, END]] - totals[1][start])
            weights[i, AGREED] -= cut
            weights[i, ALL] -= cut + totals[0][table[i, END]] - totals[0][start]
            table[i, END] = start
    order = np.flatnonzero(kept)
    order = order[np.argsort(table[order, START] * DIAGONALS + table[order, DIAGONAL], kind="mergesort")]
    return table[order], weights[order]


@kernel
def scatter_bits(
    bounds: Column,
    wanted: Mask,
    seeds: tuple[Column, Column, Mask],
    totals: tuple[Bits, Bits],
    limits: tuple[float, float],
    covered: Mask,
) -> tuple[Bits, Column]:
    """What each wanted document's runs are worth in whatever order, and the query tokens from first to last.

    `limits`: the bits that every run costs, for it may stand anywhere, and the least of a document; what two runs cover
    counts once. Returns bits, shape (documents,), 0 for what is less; and spans, shape (documents, 3): first token, one
    past the last, tokens covered. Marked in `covered` are the query's tokens in any of these runs.
    """
    queries, diagonals, agreeing = seeds
    price, floor = limits
    worth = np.zeros(len(bounds) - 1, dtype=np.float64)
    spans = np.zeros((len(bounds) - 1, 3), dtype=np.int64)
    for row in range(len(worth)):
        low, high = bounds[row], bounds[row + 1]
        if not wanted[row]:
            continue
        mine = queries[low:high], diagonals[low:high], agreeing[low:high]
        if _most(mine[0], mine[1], mine[2], totals, price) < floor:
            continue
        table, weights = _runs(mine[0], mine[1], mine[2], totals)
        end = np.int64(-1)
        for i in range(len(table)):
            start = max(table[i, START], end)
            if start >= table[i, END]:
                continue
            gained = _beyond(table[i], weights[i], start, totals) - price
            if gained <= 0.0:
                continue
            if end < 0:
                spans[row, 0] = start
            worth[row] += gained
            spans[row, 2] += table[i, END] - start
            end = table[i, END]
            spans[row, 1] = end
            covered[start:end] = True
    return worth, spans
