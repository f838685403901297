"""One node's part in a round, as the server holds it, and what those of a round tell together. Joins nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.messages import RECITED, Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from flwr.app import MetricRecord
    from numpy.typing import NDArray

    from training.aggregation import Factors


@dataclass(frozen=True, slots=True)
class Update:
    """One node's part in a round. `matrices`: what it adds to what is shared. `norm`: of all of it (Frobenius)."""

    node: int
    identity: Identity
    matrices: dict[str, Factors | NDArray[np.float32]]
    metrics: MetricRecord
    examples: float
    norm: float


def pooled(updates: Sequence[Update]) -> float:
    """The loss of what was received, over all validation tokens of all nodes; infinite where there are none."""
    tokens = [float(str(update.metrics["validation-tokens"])) for update in updates]
    losses = [float(str(update.metrics["validation-loss"])) for update in updates]
    total = sum(tokens)
    return sum(loss * count for loss, count in zip(losses, tokens, strict=True)) / total if total else float("inf")


def recited(updates: Sequence[Update]) -> dict[str, float]:
    """By organization, the share of its sample that what it was sent recites; empty where nobody watches."""
    return {
        update.identity.organization: float(str(update.metrics[RECITED]))
        for update in updates
        if RECITED in update.metrics
    }
