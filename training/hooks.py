"""What happens beside the steps of a training: notes, held-out loss, progress, marks on complete checkpoints.

Hooks of transformers' Trainer. They know steps and losses, and neither plans nor regimes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers

from training.errors import StoppedError
from training.local import loss_of
from training.log import At

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.blocks import Blocks
    from training.log import StageLog

COMPLETE = "complete"
"""A file that a checkpoint gets last: one without it was being written when the process ended."""


class Notes(transformers.TrainerCallback):
    """Writes loss and learning rate down, tells the progress, and ends a training whose loss is no number."""

    def __init__(self, log: StageLog, stage: str, report: Callable[[At], None]) -> None:
        self._log, self._stage, self._report = log, stage, report

    def on_log(self, _arguments: Any, state: Any, _control: Any, logs: dict[str, float], **_given: Any) -> None:  # noqa: ANN401 - theirs
        """Write what the Trainer tells."""
        if "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            message = f"the loss is {logs['loss']} at step {state.global_step}: lower optimizer.learning_rate or clip"
            raise StoppedError(message)
        names = ("loss", "grad_norm", "learning_rate")
        self._log.write(state.global_step, **{name: float(logs[name]) for name in names if name in logs})

    def on_step_end(self, _arguments: Any, state: Any, _control: Any, **_given: Any) -> None:  # noqa: ANN401 - theirs
        """Tell how far it is."""
        self._report(At(self._stage, state.global_step, state.max_steps, self._log.loss))


class Marks(transformers.TrainerCallback):
    """Marks a checkpoint as complete."""

    def on_save(self, arguments: Any, state: Any, _control: Any, **_given: Any) -> None:  # noqa: ANN401 - theirs
        """The Trainer has written all of it."""
        (Path(arguments.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


class Validation(transformers.TrainerCallback):
    """Measures the loss on held-out code every `every` steps, and stops the training once it is `target`.

    `last`: the last step at which it was measured, and the loss.
    """

    def __init__(self, blocks: Blocks, batch: int, every: int, target: float | None, log: StageLog) -> None:
        self._blocks, self._batch, self._every, self._target, self._log = blocks, batch, every, target, log
        self.stopped = False
        self.last: tuple[int, float] | None = None

    def on_step_end(self, _arguments: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ANN401 - theirs
        """Measure where it is due."""
        if state.global_step % self._every and state.global_step != state.max_steps:
            return
        loss = loss_of(given["model"], self._blocks, self._batch)
        self.last = state.global_step, loss
        self._log.write(state.global_step, validation_loss=loss)
        if self._target is not None and loss <= self._target:
            self.stopped = control.should_training_stop = True


def last_complete(folder: Path) -> Path | None:
    """The latest complete checkpoint in a stage's folder."""
    there = [path for path in folder.glob("checkpoint-*") if (path / COMPLETE).is_file()]
    return max(there, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was made."""
    return int(checkpoint.name.removeprefix("checkpoint-"))
