"""Writes down how a training goes: a line of JSON in `log.jsonl`, and the same for TensorBoard. Knows no model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class At:
    """How far a stage of the training is, in steps of the optimizer. `loss`: the last one told, in nats a token."""

    stage: str
    done: int
    total: int
    loss: float | None


class StageLog:
    """The log of one stage, from a step on: what an interrupted run wrote after it is struck out."""

    def __init__(self, folder: Path, stage: str, begin: int = 0) -> None:
        self._path, self._stage = folder / "log.jsonl", stage
        self._strike(begin)
        self._board: Any = SummaryWriter(str(folder / "tensorboard" / stage), purge_step=begin + 1)
        self.loss: float | None = None

    def _strike(self, begin: int) -> None:
        if not self._path.is_file():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # The line that was being written when the process ended.
            if entry["stage"] != self._stage or entry["step"] <= begin:
                kept.append(line + "\n")
        self._path.write_text("".join(kept), encoding="utf-8")

    def write(self, step: int, **values: float) -> None:
        """Add figures of a step."""
        self.loss = values.get("loss", self.loss)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": self._stage, "step": step, **values}) + "\n")
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush what TensorBoard reads."""
        self._board.close()
