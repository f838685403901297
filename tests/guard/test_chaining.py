"""Chains against a plain reference that tries every path over the runs."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.chaining import (
    DIAGONAL,
    DIAGONALS,
    END,
    GAP_LIMIT,
    GAP_OPEN,
    GAP_TOKEN,
    RUNS_A_DOCUMENT,
    START,
    Bits,
    draw_chains,
)
from guard.fingerprint import K

LENGTH = 160


class Seed(NamedTuple):
    query: int
    diagonal: int
    agrees: bool


class Run(NamedTuple):
    start: int
    end: int
    diagonal: int
    bits: float
    agreed: float


class Drawn(NamedTuple):
    bits: float
    runs: list[tuple[int, int, int]]


def drawn(found: list[Seed], bits: Bits, literal: Bits, floor: float, most: int = 9) -> list[Drawn]:
    """What the kernel draws of one document's seeds."""
    found = sorted(found, key=lambda seed: (seed.diagonal, seed.query))
    count = len(found)
    seeds = (
        np.array([seed.query for seed in found], dtype=np.int64),
        np.array([seed.diagonal for seed in found], dtype=np.int64),
        np.array([seed.agrees for seed in found], dtype=np.bool_),
    )
    where, worth, runs = np.empty((count, 3), dtype=np.int64), np.empty(count), np.empty((count, 3), dtype=np.int64)
    totals = (np.append(0.0, np.cumsum(bits)), np.append(0.0, np.cumsum(literal)))
    bounds, wanted = np.array([0, count]), np.ones(1, dtype=np.bool_)
    chains = draw_chains(bounds, wanted, seeds, totals, (floor, most), (where, worth, runs))
    columns = runs[:, [START, END, DIAGONAL]].tolist()
    rows = (columns[first:last] for _, first, last in where[:chains].tolist())
    return [Drawn(bits_, [*map(tuple, row)]) for bits_, row in zip(worth.tolist(), rows, strict=False)]


def runs_of(found: list[Seed], bits: Bits, literal: Bits) -> list[Run]:
    runs = []
    for diagonal in {seed.diagonal for seed in found}:
        mine = sorted({seed.query for seed in found if seed.diagonal == diagonal})
        agreeing = {seed.query for seed in found if seed.diagonal == diagonal and seed.agrees}
        breaks = [0, *(i for i in range(1, len(mine)) if mine[i] - mine[i - 1] > K), len(mine)]
        for low, high in pairwise(breaks):
            tokens = range(mine[low], mine[high - 1] + K)
            exact = {token for seed in mine[low:high] if seed in agreeing for token in range(seed, seed + K)}
            agreed = float(sum(literal[token] for token in exact))
            runs.append(Run(tokens.start, tokens.stop, diagonal, float(bits[tokens].sum()) + agreed, agreed))
    return sorted(runs)


def link(one: Run, two: Run, bits: Bits, literal: Bits) -> float | None:
    """What `two` adds behind `one`, or None if it cannot stand there."""
    shift = (two.diagonal - one.diagonal + DIAGONALS // 2) % DIAGONALS - DIAGONALS // 2
    in_query, in_document = two.start - one.end, two.start + shift - one.end
    if two.start <= one.start or two.end <= one.end or two.start + shift <= one.start:
        return None
    gap = max(in_query, in_document, abs(shift), 0)
    if gap > GAP_LIMIT:
        return None
    shared = range(two.start, min(two.end, two.start + max(0, -in_query, -in_document)))
    twice = float(bits[shared].sum()) + min(two.agreed, float(literal[shared].sum()))
    return two.bits - twice - (GAP_OPEN + GAP_TOKEN * gap if gap else 0.0)


def best(runs: list[Run], bits: Bits, literal: Bits) -> tuple[float, list[Run]]:
    """The best of all paths."""

    def onward(path: list[Run], score: float) -> tuple[float, list[Run]]:
        found = score, path
        for run in runs:
            gained = link(path[-1], run, bits, literal)
            if gained is not None:
                found = max(found, onward([*path, run], score + gained), key=lambda way: way[0])
        return found

    return max((onward([run], run.bits) for run in runs), key=lambda way: way[0])


def reference(found: list[Seed], bits: Bits, literal: Bits, floor: float) -> list[Drawn]:
    sides, chains = [runs_of(found, bits, literal)], []
    while any(sides):
        ways = ((best(runs, bits, literal), runs) for runs in sides if runs)
        (score, path), side = max(ways, key=lambda way: way[0][0])
        if score < floor:
            break
        chains.append(Drawn(score, [(run.start, run.end, run.diagonal) for run in path]))
        sides.remove(side)
        first, last = path[0].start, path[-1].end
        before = [run for run in side if run.end <= last and run.start < first]
        behind = [run for run in side if run.end > last]
        sides.append(sorted(part(run, run.start, min(run.end, first), bits, literal) for run in before))
        sides.append(sorted(part(run, max(run.start, last), run.end, bits, literal) for run in behind))
    return chains


def part(run: Run, start: int, end: int, bits: Bits, literal: Bits) -> Run:
    """The run from `start` to `end`; of what agrees, what lies outside may be all that it can be."""
    cut = [*range(run.start, start), *range(end, run.end)]
    agreed = min(run.agreed, float(literal[cut].sum()))
    return Run(start, end, run.diagonal, run.bits - agreed - float(bits[cut].sum()), run.agreed - agreed)


def worths(seed: int) -> tuple[Bits, Bits]:
    """Bits of a query's tokens; no two sums of them are equal, so that there is one best path."""
    random_ = np.random.default_rng(seed)
    return random_.uniform(0.0, 3.0, LENGTH), random_.uniform(0.0, 1.0, LENGTH)


# Copies with edits: several seeds, a token or more apart, on diagonals near to one another and across the wrap.
copies = st.lists(
    st.tuples(
        st.integers(0, LENGTH - 4 * K), st.integers(-9, 9), st.lists(st.integers(1, K), max_size=3), st.booleans()
    ),
    min_size=1,
    max_size=7,
).map(
    lambda copies: list(
        {
            (query + sum(steps[:i]), diagonal % DIAGONALS): Seed(query + sum(steps[:i]), diagonal % DIAGONALS, agrees)
            for query, diagonal, steps, agrees in copies
            for i in range(len(steps) + 1)
        }.values()
    )
)


@settings(max_examples=150)
@given(copies, st.integers(0, 2**32), st.sampled_from([0.0, 12.0, 30.0]))
def test_chains_are_the_best_there_are(found: list[Seed], seed: int, floor: float) -> None:
    bits, literal = worths(seed)
    chains, expected = drawn(found, bits, literal, floor), reference(found, bits, literal, floor)
    assert [chain.runs for chain in chains] == [chain.runs for chain in expected]
    assert [chain.bits for chain in chains] == pytest.approx([chain.bits for chain in expected])


def test_a_run_goes_on_where_a_chain_that_has_its_beginning_ends() -> None:
    bits, literal = np.ones(LENGTH), np.zeros(LENGTH)
    first = [Seed(at, 5, agrees=True) for at in range(0, 40, K)]
    # Another copy of the same document, whose first tokens are taken for the end of the one before.
    second = [Seed(at, 90, agrees=True) for at in range(36, 66, K)]
    chains = drawn([*first, *second], bits, literal, 12.0)
    assert [chain.runs for chain in chains] == [[(0, 45, 5)], [(45, 72, 90)]]
    assert [chain.bits for chain in chains] == [45.0, 27.0]


@settings(max_examples=150)
@given(copies, st.integers(0, 2**32))
def test_a_document_is_passed_over_only_if_it_has_no_chain(found: list[Seed], seed: int) -> None:
    bits, literal = worths(seed)
    (score, _), *_ = reference(found, bits, literal, 0.0)
    # Sums of the same numbers in another order differ in their last digits.
    assert drawn(found, bits, literal, score - 1e-9)
    assert not drawn(found, bits, literal, score + 1e-9)


@settings(max_examples=150)
@given(copies, st.integers(0, 2**32))
def test_chains_of_a_document_do_not_overlap_and_grow_less(found: list[Seed], seed: int) -> None:
    chains = drawn(found, *worths(seed), 0.0)
    spans = sorted((chain.runs[0][START], chain.runs[-1][END]) for chain in chains)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    assert [chain.bits for chain in chains] == sorted((chain.bits for chain in chains), reverse=True)


@settings(max_examples=60)
@given(copies, st.integers(0, 2**32), st.integers(0, DIAGONALS))
def test_where_in_the_document_it_stands_changes_nothing(found: list[Seed], seed: int, shift: int) -> None:
    bits, literal = worths(seed)
    moved = [seed._replace(diagonal=(seed.diagonal + shift) % DIAGONALS) for seed in found]
    chains, others = drawn(found, bits, literal, 0.0), drawn(moved, bits, literal, 0.0)
    assert [chain.bits for chain in chains] == pytest.approx([chain.bits for chain in others])


def test_only_the_most_telling_runs_of_a_document_are_chained() -> None:
    random_ = random.Random(1)  # noqa: S311 - not for secrets
    bits, literal = np.linspace(1.0, 2.0, LENGTH), np.zeros(LENGTH)
    # Too far apart to be one chain, so each run that is kept is one.
    places = random_.sample(range(LENGTH - K), RUNS_A_DOCUMENT + 20)
    found = [Seed(place, 100 * number, agrees=False) for number, place in enumerate(places)]
    kept = {place for chain in drawn(found, bits, literal, 0.0, most=999) for place, *_ in chain.runs}
    least = sorted(places)[20]
    assert max(kept) == max(places)
    assert min(kept) >= least
    assert len(drawn(found, bits, literal, 0.0, most=2)) == 2
