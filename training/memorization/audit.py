"""A lower bound on epsilon from one trained model.

Steinke, Nasr & Jagielski, Privacy Auditing with One (1) Training Run (NeurIPS 2023, arXiv 2305.08846). Each
of m canaries was put into the training data by a fair coin of its own. From scores, r of them are guessed: the highest
as in, the lowest as out. Under (epsilon, delta)-differential privacy the number of right guesses is hardly larger than
Binomial(r, e^epsilon / (1 + e^epsilon)) (theorem 5.2); the largest epsilon that the guesses contradict is what the
training certainly exceeds. The bound speaks of what one coin decides: a canary with all its copies. Knows no model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Shares of the canaries that are guessed. The best is told, and the confidence pays for the choice (Bonferroni)."""
DELTA = 1e-5
CONFIDENCE = 0.95
_PRECISION = 1e-4


@dataclass(frozen=True, slots=True)
class Audit:
    """Training was not (`epsilon`, `delta`)-private, at CONFIDENCE, since `right` of `guesses` were right."""

    epsilon: float
    delta: float
    canaries: int
    guesses: int
    right: int

    def to_json(self) -> dict[str, Any]:
        """The numbers."""
        return {
            "epsilon_at_least": round(self.epsilon, 4),
            "delta": self.delta,
            "confidence": CONFIDENCE,
            "canaries": self.canaries,
            "guesses": self.guesses,
            "right": self.right,
        }


def audit(scores: Sequence[float], included: Sequence[bool], delta: float = DELTA) -> Audit | None:
    """The best bound over SHARES. `scores`: higher for what looks trained on. None without two canaries."""
    canaries = len(scores)
    if canaries < 2:  # noqa: PLR2004 - one is guessed in, one out
        return None
    # Equal scores are put in an order that knows nothing of the coins.
    chances = np.random.default_rng(0).random(canaries)
    order = np.lexsort((chances, -np.asarray(scores, dtype=np.float64)))
    inside = np.asarray(included, dtype=bool)[order]
    found = []
    for share in SHARES:
        half = max(1, int(share * canaries) // 2)
        right = int(inside[:half].sum() + (~inside[-half:]).sum())
        epsilon = epsilon_bound(canaries, 2 * half, right, delta, (1 - CONFIDENCE) / len(SHARES))
        found.append(Audit(epsilon, delta, canaries, 2 * half, right))
    return max(found, key=lambda one: one.epsilon)


def epsilon_bound(canaries: int, guesses: int, right: int, delta: float, significance: float) -> float:
    """The largest epsilon at which `right` or more right guesses have a chance below `significance`; 0 if none."""
    low, high = 0.0, 1.0
    if chance(canaries, guesses, right, 0.0, delta) >= significance:
        return 0.0
    while chance(canaries, guesses, right, high, delta) < significance:
        low, high = high, 2 * high
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if chance(canaries, guesses, right, middle, delta) < significance:
            low = middle
        else:
            high = middle
    return low


def chance(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Bound on the probability of `right` or more right among `guesses` under (epsilon, delta)-privacy.

    Theorem 5.2: the binomial tail, and 2 m delta times the largest mean of the probabilities just below it.
    """
    mass = binomial(guesses, 1 / (1 + math.exp(-epsilon)))
    below = mass[:right][::-1]
    slopes = np.cumsum(below) / np.arange(1, len(below) + 1)
    steepest = float(slopes.max()) if len(slopes) else 0.0
    return min(1.0, float(mass[right:].sum()) + 2 * canaries * delta * steepest)


def binomial(trials: int, share: float) -> NDArray[np.float64]:
    """Probabilities of 0 to `trials` successes."""
    if share >= 1:
        return np.append(np.zeros(trials), 1.0)
    logs = [math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in range(trials + 1)]
    wins = np.arange(trials + 1)
    return np.asarray(np.exp(np.array(logs) + wins * math.log(share) + (trials - wins) * math.log1p(-share)))
