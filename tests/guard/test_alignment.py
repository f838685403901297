from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard.alignment import SCATTERED_RUN, Alignment, Chain, Seeds
from guard.chaining import DIAGONALS, GAP_LIMIT, GAP_OPEN, GAP_TOKEN
from guard.fingerprint import K

LENGTH = 300
DOCUMENT = 7 << 24 | 3
Seed = tuple[int, int, int, bool]
"""Document, place in the query, place in the document, whether the runs agree to the letter."""


def seeds(found: list[Seed]) -> Seeds:
    columns = list(zip(*found, strict=True)) or [(), (), (), ()]
    documents, queries, positions = (np.array(column, dtype=np.int64) for column in columns[:3])
    return Seeds(queries, documents, positions, np.array(columns[3], dtype=np.bool_))


def run(start: int, end: int, diagonal: int = 0, *, exact: bool = False, document: int = DOCUMENT) -> list[Seed]:
    """Seeds that cover tokens [start, end) of the query, as they stand `diagonal` further on in the document."""
    places = [*range(start, end - K, 5), end - K]
    return [(document, place, place + diagonal, exact) for place in places]


def chains(
    found: list[Seed], floor: float = 20.0, bit: float = 1.0, literal: float = 0.5, **given_: int
) -> list[Chain]:
    alignment = Alignment(seeds(found), LENGTH)
    wanted = np.ones(len(alignment.documents), dtype=np.bool_)
    return alignment.chains(wanted, np.full(LENGTH, bit), np.full(LENGTH, literal), floor, **given_)


def test_nothing_shared_is_nothing_found() -> None:
    assert chains([]) == []
    assert Alignment(seeds([]), 0).documents.tolist() == []


@pytest.mark.parametrize("diagonal", [0, 1, 500, -40])
def test_seeds_on_one_diagonal_are_one_chain(diagonal: int) -> None:
    (chain,) = chains(run(50, 100, diagonal))
    assert (chain.document, chain.start, chain.end) == (DOCUMENT, 50, 100)
    assert chain.bits == pytest.approx(50)
    assert np.flatnonzero(chain.covered).tolist() == list(range(50, 100))
    assert not chain.exact.any()


def test_what_agrees_to_the_letter_is_worth_more() -> None:
    (chain,) = chains(run(50, 70) + run(60, 80, exact=True) + run(70, 100))
    assert chain.bits == pytest.approx(50 + 20 * 0.5)
    assert np.flatnonzero(chain.exact).tolist() == list(range(60, 80))


@pytest.mark.parametrize(
    ("inserted", "deleted"), [(5, 0), (0, 5), (12, 12), (20, 7), (GAP_LIMIT, GAP_LIMIT), (GAP_LIMIT, 0)]
)
def test_an_edit_costs_its_price(inserted: int, deleted: int) -> None:
    found = run(20, 60) + run(60 + inserted, 100 + inserted, deleted - inserted)
    (chain,) = chains(found)
    assert chain.bits == pytest.approx(80 - GAP_OPEN - GAP_TOKEN * max(inserted, deleted))
    assert int(chain.covered.sum()) == 80
    assert chain.diagonals == 1 + (inserted != deleted)


def test_runs_too_far_apart_are_two_chains() -> None:
    assert [(chain.start, chain.end) for chain in chains(run(20, 60) + run(122, 182))] == [(122, 182), (20, 60)]
    far = run(20, 60) + run(60, 100, GAP_LIMIT + 1)
    assert len(chains(far)) == 2


def test_runs_in_another_order_are_two_chains() -> None:
    found = run(20, 60, 100) + run(60, 100, 10)
    assert sorted((chain.start, chain.end) for chain in chains(found)) == [(20, 60), (60, 100)]


def test_tokens_in_two_runs_count_once() -> None:
    (chain,) = chains(run(20, 60) + run(50, 90, 4))
    assert chain.bits == pytest.approx(70 - GAP_OPEN - GAP_TOKEN * 4)
    assert int(chain.covered.sum()) == 70
    # Fewer tokens of the document than of the query: those that the document has once count once as well.
    (chain,) = chains(run(20, 60) + run(50, 90, -4))
    assert chain.bits == pytest.approx(66 - GAP_OPEN - GAP_TOKEN * 4)


def test_tokens_that_agree_in_two_runs_count_once() -> None:
    (chain,) = chains(run(20, 60, exact=True) + run(30, 70, 2, exact=True) + run(40, 80, 4, exact=True))
    # The run between the other two would add nothing.
    assert chain.bits == pytest.approx(60 * 1.5 - GAP_OPEN - GAP_TOKEN * 4)
    assert int(chain.exact.sum()) == 60


def test_a_chain_below_the_floor_is_none() -> None:
    assert len(chains(run(20, 60), floor=40)) == 1
    assert chains(run(20, 60), floor=40.1) == []
    assert chains(run(20, 60), bit=0.0) == []


def test_documents_are_told_apart() -> None:
    other = DOCUMENT + 1
    found = run(20, 60) + run(60, 100, document=other)
    assert {(chain.document, chain.start) for chain in chains(found)} == {(DOCUMENT, 20), (other, 60)}
    alignment = Alignment(seeds(found), LENGTH)
    assert alignment.documents.tolist() == [DOCUMENT, other]
    ones = np.ones(LENGTH)
    (chain,) = alignment.chains(np.array([False, True]), ones, ones, 20.0)
    assert chain.document == other
    assert alignment.chains(np.array([False, False]), ones, ones, 20.0) == []


def test_the_best_chains_of_a_document_come_first() -> None:
    found = [seed for number in range(6) for seed in run(number * 50, number * 50 + 20 + number, number * 1000)]
    assert [chain.start for chain in chains(found, most=9)] == [250, 200, 150, 100, 50, 0]
    assert [chain.start for chain in chains(found)] == [250, 200, 150, 100]
    assert [chain.start for chain in chains(found, most=1)] == [250]


def test_the_same_seeds_serve_under_changing_worths() -> None:
    alignment = Alignment(seeds(run(20, 60) + run(100, 150)), LENGTH)
    wanted, bits = np.ones(1, dtype=np.bool_), np.ones(LENGTH)
    assert len(alignment.chains(wanted, bits, bits, 20.0)) == 1
    bits[20:60] = 0
    (chain,) = alignment.chains(wanted, bits, np.zeros(LENGTH), 20.0)
    assert (chain.start, chain.end) == (100, 150)


some_seeds = st.lists(
    st.tuples(st.sampled_from([1, 2, 3 << 24]), st.integers(0, LENGTH - K), st.integers(0, 400), st.booleans()),
    min_size=1,
    max_size=40,
)
near_seeds = st.lists(
    st.tuples(st.just(1), st.integers(0, 80), st.integers(-2, 2), st.booleans()).map(
        lambda seed: (seed[0], seed[1], seed[1] + 10 + seed[2] * 7, seed[3])
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=80)
# The best chain lies between two runs that could follow one another.
@example([(1, 0, 10, False), (1, 9, 12, True), (1, 17, 27, False), (1, 32, 28, False)], random.Random(1), 5.0)  # noqa: S311 - not for secrets
@given(some_seeds | near_seeds, st.randoms(use_true_random=False), st.sampled_from([5.0, 10.0, 14.5]))
def test_chains_are_sound_whatever_the_seeds(found: list[Seed], rng: random.Random, floor: float) -> None:
    drawn = chains(found, floor)
    assert [chain.bits for chain in drawn] == sorted((chain.bits for chain in drawn), reverse=True)
    for chain in drawn:
        mine = [seed for seed in found if seed[0] == chain.document]
        covered = {token for seed in mine for token in range(seed[1], seed[1] + K)}
        exact = {token for seed in mine if seed[3] for token in range(seed[1], seed[1] + K)}
        assert set(np.flatnonzero(chain.covered).tolist()) <= covered
        assert set(np.flatnonzero(chain.exact).tolist()) <= exact & covered
        assert floor <= chain.bits <= chain.covered.sum() + 0.5 * chain.exact.sum() + 1e-6
        assert chain.covered[chain.start]
        assert chain.covered[chain.end - 1]
        assert 1 <= chain.diagonals <= len({(seed[2] - seed[1]) % DIAGONALS for seed in mine})
    for document in {seed[0] for seed in found}:
        spans = sorted((chain.start, chain.end) for chain in drawn if chain.document == document)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
        # What other documents share, and the order in which seeds come, change nothing.
        alone = [seed for seed in found if seed[0] == document]
        rng.shuffle(alone)
        assert [(c.start, c.end, c.bits) for c in chains(alone, floor)] == [
            (c.start, c.end, c.bits) for c in drawn if c.document == document
        ]


def test_positions_are_counted_modulo_as_they_are_stored() -> None:
    edge = DIAGONALS - 70
    stored = [(document, place, position % DIAGONALS, exact) for document, place, position, exact in run(50, 100, edge)]
    assert len({position < place for _, place, position, _ in stored}) == 2
    (chain,) = chains(stored)
    assert (chain.start, chain.end, chain.diagonals) == (50, 100, 1)
    # From the last diagonal to the first is one token.
    (chain,) = chains(run(20, 60, DIAGONALS - 1) + run(60, 100, 0))
    assert chain.bits == pytest.approx(80 - GAP_OPEN - GAP_TOKEN)


def test_scattered_runs_count_in_any_order() -> None:
    other = DOCUMENT + 1
    pieces = run(20, 60, 100) + run(70, 100, 10) + run(60, 90, 7, document=other) + run(150, 150 + K, 0, document=other)
    alignment = Alignment(seeds(pieces), LENGTH)
    ones, half = np.ones(LENGTH), np.full(LENGTH, 0.5)
    worth, spans, covered = alignment.scattered(np.array([True, False]), ones, half)
    assert worth.tolist() == [40 + 30 - 2 * SCATTERED_RUN, 0.0]
    assert spans.tolist() == [[20, 100, 70], [0, 0, 0]]
    assert np.flatnonzero(covered).tolist() == [*range(20, 60), *range(70, 100)]
    # A run that tells no more than where it stands tells nothing.
    worth, spans, covered = alignment.scattered(np.array([False, True]), ones, half)
    assert worth.tolist() == [0.0, 30 - SCATTERED_RUN]
    assert spans.tolist() == [[0, 0, 0], [60, 90, 30]]
    worth, _, _ = alignment.scattered(np.ones(2, dtype=np.bool_), ones, half, 1000.0)
    assert worth.tolist() == [0.0, 0.0]
    assert alignment.counts.tolist() == [len(run(20, 60)) + len(run(70, 100)), len(run(60, 90)) + 1]


def test_scattered_runs_that_overlap_count_once() -> None:
    found = run(20, 60, 100, exact=True) + run(40, 90, 10, exact=True) + run(45, 80, 200)
    alignment = Alignment(seeds(found), LENGTH)
    worth, spans, _ = alignment.scattered(np.ones(1, dtype=np.bool_), np.ones(LENGTH), np.full(LENGTH, 0.5))
    assert worth[0] == pytest.approx(70 * 1.5 - 2 * SCATTERED_RUN)
    assert spans[0].tolist() == [20, 90, 70]


def test_seeds_of_many_documents_are_kept_apart() -> None:
    rng = np.random.default_rng(3)
    documents = np.repeat(rng.choice(2**40, size=300, replace=False), 2)
    places = np.tile([7, 3], 300)
    found = Alignment(Seeds(places, documents, places + 50, np.zeros(600, dtype=np.bool_)), LENGTH)
    assert sorted(found.documents.tolist()) == sorted(set(documents.tolist()))
    assert found.counts.tolist() == [2] * 300
