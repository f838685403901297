"""The bounds by which an alignment passes over documents: quick, and never at the price of a chain."""

from __future__ import annotations

from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.alignment import RUNS_A_DOCUMENT, Alignment, Chain, Seeds
from guard.fingerprint import K

LENGTH = 200
BITS = np.full(LENGTH, 2.0)


def alignment_of(*seeds: tuple[int, int, int, bool]) -> Alignment:
    """Seeds as (query, document, position, exact)."""
    columns = list(zip(*seeds, strict=True)) or [(), (), (), ()]
    queries, documents, positions = (np.array(column, dtype=np.int64) for column in columns[:3])
    return Alignment(Seeds(queries, documents, positions, np.array(columns[3], dtype=np.bool_)), LENGTH)


def chains_of(alignment: Alignment, floor: float, literal: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[Chain]:
    wanted = np.ones(len(alignment.documents), dtype=np.bool_)
    return alignment.chains(wanted, BITS, literal, floor, most=RUNS_A_DOCUMENT)


SEEDS = st.tuples(st.integers(0, LENGTH - K), st.integers(1, 3), st.integers(0, 300), st.booleans())
# Copies: seeds that follow one another in query and document, with a few tokens between.
COPIES = st.builds(
    lambda query, document, position, steps, exact: [
        (query + sum(steps[:i]), document, position + sum(steps[:i]), exact) for i in range(len(steps))
    ],
    st.integers(0, 60), st.integers(1, 3), st.integers(0, 100), st.lists(st.integers(1, 18), max_size=7), st.booleans(),
)  # fmt: skip


@settings(max_examples=300)
@given(
    scattered=st.lists(SEEDS, max_size=40),
    copies=st.lists(COPIES, max_size=4),
    floor=st.floats(5, 200),
    literal=st.sampled_from([0.0, 0.5, 1.5]),
)
def test_the_bounds_pass_over_no_document_that_has_a_chain(
    scattered: list[tuple[int, int, int, bool]],
    copies: list[list[tuple[int, int, int, bool]]],
    floor: float,
    literal: float,
) -> None:
    alignment = alignment_of(*scattered, *(seed for copy in copies for seed in copy))
    worth = np.full(LENGTH, literal)
    quick = chains_of(alignment, floor, worth)
    with mock.patch.object(Alignment, "_promising", lambda self, *_: np.arange(len(self.documents))):
        slow = chains_of(alignment, floor, worth)
    assert [(chain.document, chain.runs, chain.bits) for chain in quick] == [
        (chain.document, chain.runs, chain.bits) for chain in slow
    ]
