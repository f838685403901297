"""Examples to rows of tokens of one length, as a model reads them. Knows a tokenizer's tokens, and no model.

Several files share a row. Each keeps to itself: its positions start at 0, by which the causal mask of transformers
tells files apart, and its first token is not to be predicted from the file before it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset

from published.infilling import FillInTheMiddle, family_in
from published.spellings import control_names, cut, spellings
from training.errors import PlanError
from training.examples import Example, Kind

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

IGNORED = -100
"""The label of a token that is not to be predicted."""
ENDS = ("<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>")
"""Names of the token behind a text, in the order in which they are looked for: some instruction-tuned models name the
end of a turn as their own."""


class Blocks(Dataset[dict[str, torch.Tensor]]):
    """Rows of tokens. `input_ids`, `labels` and `position_ids`: int64, rows x block.

    `examples` counts the files in the rows, `tokens` theirs, ends of text included and padding not, and `predicted`
    those of them that are predicted.
    """

    def __init__(self, rows: Sequence[_Row], block: int, examples: int) -> None:
        shape = (len(rows), block)
        self.input_ids = torch.tensor([row.tokens for row in rows], dtype=torch.int64).reshape(shape)
        self.labels = torch.tensor([row.labels for row in rows], dtype=torch.int64).reshape(shape)
        self.position_ids = torch.tensor([row.positions for row in rows], dtype=torch.int64).reshape(shape)
        self.examples = examples
        self.tokens = sum(row.used for row in rows)
        self.predicted = int((self.labels[:, 1:] != IGNORED).sum())

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {
            "input_ids": self.input_ids[row],
            "labels": self.labels[row],
            "position_ids": self.position_ids[row],
        }


class ShiftedBlocks(Blocks):
    """Rows that begin elsewhere in every pass, so that each token is seen behind contexts of many lengths.

    All documents make one ring, which each pass cuts from an offset of its own: as many rows, and every token once.
    Where rows begin at the same places in every pass, a model knows how a text goes on from those places alone.
    """

    def __init__(self, documents: Sequence[Sequence[int]], filler: int, block: int, seed: int) -> None:
        """The rows of pass 0. Offsets depend on `seed` and the number of the pass alone."""
        super().__init__([], block, len(documents))
        self._seed, self._filler, self._block = seed, filler, block
        self._ring = torch.tensor([token for one in documents for token in one], dtype=torch.int64)
        self._places = torch.tensor([place for one in documents for place in range(len(one))], dtype=torch.int64)
        self.tokens = len(self._ring)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Cut the rows of a pass: accelerate's data loader, and so the Trainer, calls this before each."""
        self.cut(random.Random(f"{self._seed} {epoch}").randrange(self._block))  # noqa: S311 - not for secrets

    def cut(self, offset: int) -> None:
        """Cut rows that begin `offset` tokens into the ring."""
        count, block = -(-self.tokens // self._block), self._block
        columns = torch.arange(block).expand(count, block)
        tokens = torch.full((count * block,), self._filler)
        # The filler is a document of its own, which begins behind the last token and is not predicted.
        places = torch.arange(count * block) - self.tokens
        tokens[: self.tokens] = self._ring.roll(-offset)
        places[: self.tokens] = self._places.roll(-offset)
        self.input_ids = tokens.view(count, block)
        self.position_ids = torch.minimum(places.view(count, block), columns)
        self.labels = self.input_ids.masked_fill(self.position_ids == 0, IGNORED)
        self.labels.view(-1)[self.tokens :] = IGNORED
        self.predicted = int((self.labels[:, 1:] != IGNORED).sum())


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, each list as long as the block. `used`: tokens that are no padding."""

    tokens: list[int]
    labels: list[int]
    positions: list[int]
    used: int


class Vocabulary:
    """How a base's tokenizer writes an example down: opened as it opens texts, closed by its end of text."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - transformers' tokenizers have no common type
        """Raises PlanError for a tokenizer without an end of text."""
        self._tokenizer = tokenizer
        self._ids: dict[str, int] = tokenizer.get_vocab()
        opening = tokenizer("").input_ids[:1]
        self._opening: list[int] = opening if opening and opening == [tokenizer.bos_token_id] else []
        # What a source file spells like a control token stays text.
        self._spelled: re.Pattern[str] = spellings(control_names(tokenizer.get_added_vocab()))
        self.infilling: FillInTheMiddle | None = family_in(self._ids.__contains__)
        names = (*ENDS, tokenizer.eos_token)
        end = next((self._ids[name] for name in names if name in self._ids), None)
        if end is None:
            message = "the base's tokenizer has no token that ends a text: name one as its eos_token"
            raise PlanError(message)
        self.end: int = end

    def tokens(self, text: str) -> list[int]:
        """The tokens of mere text."""
        ids: list[int] = []
        for piece in cut(text, self._spelled):
            # A space of its own for each piece would change sentencepiece's text; source has few pieces.
            ids += self._tokenizer(piece, add_special_tokens=False, split_special_tokens=True, verbose=False).input_ids
        return ids

    def document(self, example: Example) -> list[int]:
        """The tokens of one example, its end included: left to right where the base cannot fill in the middle."""
        family = self.infilling
        if family is None or example.kind is Kind.LEFT_TO_RIGHT:
            return [*self._opening, *self.tokens(example.prefix + example.middle + example.suffix), self.end]
        before = [self._ids[family.prefix], *self.tokens((" " if family.spaced else "") + example.prefix)]
        after = [self._ids[family.suffix], *self.tokens((" " if family.spaced else "") + example.suffix)]
        parts = (after + before) if family.suffix_first else (before + after)
        gap = [self._ids[family.middle]] if family.middle else []
        return [*self._opening, *parts, *gap, *self.tokens(example.middle), self.end]


def blocks_of(examples: Iterable[Example], vocabulary: Vocabulary, block: int, shifts: int | None = None) -> Blocks:
    """Examples as rows of `block` tokens: one file behind the other, a long one over several rows.

    `shifts`: the seed by which rows begin elsewhere in every pass; None: at the same places.
    """
    if shifts is not None:
        return ShiftedBlocks([vocabulary.document(one) for one in examples], vocabulary.end, block, shifts)
    rows, count = _Packing(block, vocabulary.end), 0
    for example in examples:
        rows.add(vocabulary.document(example))
        count += 1
    return Blocks(rows.finished(), block, count)


def apart(examples: Iterable[Example], vocabulary: Vocabulary, block: int) -> Blocks:
    """Examples as rows of their own, cut to `block` tokens: what per-example clipping needs."""
    rows, count = _Packing(block, vocabulary.end), 0
    for example in examples:
        rows.add(vocabulary.document(example)[:block])
        rows.close()
        count += 1
    return Blocks(rows.finished(), block, count)


class _Packing:
    """Fills rows."""

    def __init__(self, block: int, filler: int) -> None:
        self._block, self._filler = block, filler
        self._rows: list[_Row] = []
        self._begin()

    def _begin(self) -> None:
        self._tokens: list[int] = []
        self._labels: list[int] = []
        self._positions: list[int] = []

    def add(self, document: list[int]) -> None:
        """Append a document, and to the next rows what does not fit."""
        start = 0
        while start < len(document):
            piece = document[start : start + self._block - len(self._tokens)]
            self._tokens += piece
            self._labels += [IGNORED, *piece[1:]]
            self._positions += range(len(piece))
            start += len(piece)
            if len(self._tokens) == self._block:
                self.close()

    def close(self) -> None:
        """End the row, padded by a document that is not to be predicted."""
        missing = self._block - len(self._tokens)
        if missing == self._block:
            return
        self._rows.append(
            _Row(
                self._tokens + [self._filler] * missing,
                self._labels + [IGNORED] * missing,
                self._positions + list(range(missing)),
                self._block - missing,
            )
        )
        self._begin()

    def finished(self) -> list[_Row]:
        """All rows."""
        self.close()
        return self._rows
