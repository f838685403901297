from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="needs the extra training")

from typing import TYPE_CHECKING

import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from training.base import load, open_base
from training.blocks import IGNORED, ShiftedBlocks, _Packing, apart, blocks_of
from training.examples import Example, Kind
from training.local import UNCACHED

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.training


def whole(text: str) -> Example:
    return Example("a.py", "python", "MIT", Kind.LEFT_TO_RIGHT, "", "", text)


def cut(prefix: str, suffix: str, middle: str) -> Example:
    return Example("a.py", "python", "MIT", Kind.FILL_IN_THE_MIDDLE, prefix, suffix, middle)


def test_a_cut_example_is_written_with_the_tokens_of_the_base(tiny_base: Path) -> None:
    base = open_base(str(tiny_base))
    tokens = base.vocabulary.document(cut("a = 1\n", "c = 3\n", "b = 2\n"))
    assert base.tokenizer.decode(tokens) == ("<fim_prefix>a = 1\n<fim_suffix>c = 3\n<fim_middle>b = 2\n<|endoftext|>")


def test_a_base_without_such_tokens_reads_from_left_to_right(plain_base: Path) -> None:
    base = open_base(str(plain_base))
    assert base.vocabulary.infilling is None
    tokens = base.vocabulary.document(cut("a = 1\n", "c = 3\n", "b = 2\n"))
    assert base.tokenizer.decode(tokens) == "a = 1\nb = 2\nc = 3\n<|endoftext|>"


def test_what_code_spells_like_a_control_token_stays_text(tiny_base: Path) -> None:
    base = open_base(str(tiny_base))
    text = 'END = "<|endoftext|>"; PRE = "<fim_prefix>"\n'
    tokens = base.vocabulary.tokens(text)
    assert base.tokenizer.decode(tokens) == text
    assert not set(tokens) & set(base.tokenizer.get_added_vocab().values())


def test_files_in_a_row_do_not_see_each_other(tiny_base: Path) -> None:
    base = open_base(str(tiny_base))
    model = load(base.folder, torch.device("cpu")).eval()
    one, two = whole("def f(x):\n    return x\n"), whole("import os\nprint(os.name)\n")
    together = blocks_of([one, two], base.vocabulary, 64)
    alone = base.vocabulary.document(two)
    assert len(together) == 1
    start = len(base.vocabulary.document(one))
    with torch.no_grad():
        packed = model(input_ids=together.input_ids, position_ids=together.position_ids, **UNCACHED).logits[0]
        apart_ = model(input_ids=torch.tensor([alone])).logits[0]
    assert torch.allclose(packed[start : start + len(alone)], apart_, atol=1e-5)
    assert together.labels[0, start] == IGNORED


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), min_size=1, max_size=8), st.integers(2, 16))
def test_every_token_is_in_one_row_in_order(documents: list[list[int]], block: int) -> None:
    packing = _Packing(block, 0)
    for document in documents:
        packing.add(document)
    rows = packing.finished()
    assert [token for row in rows for token in row.tokens[: row.used]] == [t for d in documents for t in d]
    for row in rows:
        assert len(row.tokens) == len(row.labels) == len(row.positions) == block
        # The start of a file is never predicted, all else that is no padding is.
        for at in range(block):
            predicted = row.labels[at] == row.tokens[at]
            assert predicted == (at < row.used and row.positions[at] > 0) or row.labels[at] == IGNORED
            assert row.positions[at] in (0, row.positions[at - 1] + 1)


DOCUMENTS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), min_size=1, max_size=8)


@given(DOCUMENTS, st.integers(2, 16))
def test_rows_without_an_offset_are_those_of_fixed_places(documents: list[list[int]], block: int) -> None:
    packing = _Packing(block, 0)
    for document in documents:
        packing.add(document)
    fixed = packing.finished()
    blocks = ShiftedBlocks(documents, 0, block, seed=1)
    blocks.cut(0)
    assert blocks.input_ids.tolist() == [row.tokens for row in fixed]
    assert blocks.labels.tolist() == [row.labels for row in fixed]
    assert blocks.position_ids.tolist() == [row.positions for row in fixed]
    assert (blocks.tokens, blocks.examples) == (sum(map(len, documents)), len(documents))


@given(DOCUMENTS, st.integers(2, 16), st.integers(0, 15))
def test_an_offset_moves_where_rows_begin_and_loses_no_token(
    documents: list[list[int]], block: int, offset: int
) -> None:
    ring = [(number, place, token) for number, one in enumerate(documents) for place, token in enumerate(one)]
    offset %= len(ring)
    blocks = ShiftedBlocks(documents, 0, block, seed=1)
    blocks.cut(offset)
    turned = ring[offset:] + ring[:offset]
    cells = torch.stack([blocks.input_ids, blocks.labels, blocks.position_ids], dim=-1).flatten(0, 1).tolist()
    for at, (token, label, position) in enumerate(cells):
        if at >= len(ring):
            assert (token, label) == (0, IGNORED)
            continue
        number, place, expected = turned[at]
        assert token == expected
        # Tokens of the same file before it in its row, all of which it sees, and no other.
        row = turned[at - at % block : at]
        seen = place - next((p for n, p, _ in row if n == number and p < place), place)
        assert position == seen
        assert label == (token if position else IGNORED)


def test_every_pass_begins_its_rows_elsewhere_and_a_seed_says_where(tiny_base: Path) -> None:
    vocabulary = open_base(str(tiny_base)).vocabulary
    one, two, other = (blocks_of([whole("y = 2\n" * 200)], vocabulary, 32, seed) for seed in (5, 5, 6))
    passes = []
    for blocks in (one, two, other):
        passes.append([])
        for epoch in range(20):
            blocks.set_epoch(epoch)
            passes[-1].append(blocks.input_ids.clone())
    assert all(torch.equal(here, there) for here, there in zip(passes[0], passes[1], strict=True))
    assert not all(torch.equal(here, there) for here, there in zip(passes[0], passes[2], strict=True))
    assert len({tuple(rows.flatten().tolist()) for rows in passes[0]}) > 1


def test_examples_apart_have_a_row_each(tiny_base: Path) -> None:
    base = open_base(str(tiny_base))
    blocks = apart([whole("x = 1\n"), whole("y = 2\n" * 50)], base.vocabulary, 32)
    assert (len(blocks), blocks.examples) == (2, 2)


def test_transformers_still_masks_by_positions() -> None:
    assert transformers.masking_utils.find_packed_sequence_indices(torch.tensor([[0, 1, 0, 1]])).tolist() == [
        [0, 0, 1, 1]
    ]
