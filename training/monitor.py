"""Watches what a model recites while it is trained. Knows rows of tokens; no guard, no text, no organization.

A beginning of k tokens is k-extractable when the model, decoding greedily, continues it as the training data does
(Carlini et al. 2022, arXiv 2202.07646, definition 1). Decoding greedily gives the continuation exactly where each of
its tokens is the likeliest one after those before it, so that a single pass over the true continuation tells.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers

from training.blocks import IGNORED
from training.errors import PlanError

if TYPE_CHECKING:
    from training.blocks import Blocks
    from training.log import StageLog
    from training.plan import MonitorPlan

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """Pieces of training data, pieces x (2 * tokens), int64: beginning and continuation, each of `tokens` tokens."""

    pieces: torch.Tensor
    tokens: int


def sample(blocks: Blocks, count: int, tokens: int, seed: int) -> Sample:
    """`count` pieces drawn from the rows, or as many as there are; each lies within one file.

    Of a row, pieces begin at multiples of `tokens` tokens from the start of a file, so that their number stays small.
    Raises PlanError where no file reaches over two such lengths in a row.
    """
    length = 2 * tokens
    positions, labels = blocks.position_ids, blocks.labels
    last = positions.shape[1] - length
    if last >= 0:
        starts = positions[:, : last + 1]
        whole = positions[:, length - 1 :] == starts + length - 1
        real = labels[:, length - 1 :] != IGNORED
        found = (whole & real & (starts % tokens == 0)).nonzero().tolist()
    else:
        found = []
    if not found:
        message = (
            f"monitor.tokens is {tokens}, but no file fills {length} tokens of a row: write less, or raise "
            "optimizer.block"
        )
        raise PlanError(message)
    chosen = random.Random(seed).sample(found, min(count, len(found)))  # noqa: S311 - a sample, no secret
    pieces = torch.stack([blocks.input_ids[row, start : start + length] for row, start in chosen])
    return Sample(pieces, tokens)


def recited(model: Any, taken: Sample) -> float:  # noqa: ANN401 - a model of transformers or peft
    """The share of the pieces that the model completes word for word. The model is left in its mode."""
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    exact = 0
    for pieces in taken.pieces.split(_BATCH):
        with torch.no_grad():
            logits = model(input_ids=pieces.to(device)).logits[:, taken.tokens - 1 : -1]
        exact += int((logits.argmax(-1).cpu() == pieces[:, taken.tokens :]).all(-1).sum())
    model.train(training)
    return exact / len(taken.pieces)


class Monitor(transformers.TrainerCallback):
    """Asks every so many steps, writes the answer down, and stops the training above the plan's bound."""

    def __init__(self, settings: MonitorPlan, blocks: Blocks, log: StageLog, seed: int) -> None:
        """Raises PlanError as `sample` does."""
        self._settings, self._log = settings, log
        self._sample = sample(blocks, settings.prefixes, settings.tokens, seed)
        self.share: float | None = None
        self.stopped = False

    def on_step_end(self, _arguments: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ANN401 - theirs
        """Measure where it is due."""
        if state.global_step % self._settings.every == 0 or state.global_step == state.max_steps:
            self.share = recited(given["model"], self._sample)
            self._log.write(state.global_step, recited=self.share)
            bound = self._settings.stop_above
            if bound is not None and self.share > bound:
                self.stopped = control.should_training_stop = True
