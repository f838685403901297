"""How sure a measured number is. Knows nothing of what was measured.

Proportions of independent trials have Wilson's interval (Wilson 1927); sums over files, whose lines are not independent
of one another, a percentile bootstrap that draws whole files (Efron & Tibshirani 1993, chapters 8 and 13).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value, limits that hold the true one with CONFIDENCE, and how many things were counted."""

    value: float
    low: float
    high: float
    count: int

    def to_json(self) -> dict[str, Any]:
        """The numbers, rounded to six digits behind the point."""
        return {
            "value": round(self.value, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "n": self.count,
        }


def wilson(successes: float, trials: int, confidence: float = CONFIDENCE) -> Estimate | None:
    """The share of `successes` among `trials` with Wilson's score interval; None where nothing was tried."""
    return _wilson(successes, trials, confidence) if trials else None


def _wilson(successes: float, trials: int, confidence: float) -> Estimate:
    if not 0 <= successes <= trials:
        message = f"{successes} successes of {trials} trials"
        raise ValueError(message)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    reach = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    # At the ends the interval begins with the share itself, which rounding may miss.
    return Estimate(share, min(share, max(0.0, middle - reach)), max(share, min(1.0, middle + reach)), trials)


def share_by_file(parts: Sequence[tuple[float, float]], seed: int = 0) -> Estimate | None:
    """Sum of the first numbers over sum of the second, one pair a file; files are drawn, not lines.

    `count` is the sum of the second numbers. Where all files say the same, 0 or 1, drawing them again says nothing:
    the limits are then Wilson's, with files as the trials. None where there is nothing to divide by.
    """
    table = np.array([part for part in parts if part[1] > 0], dtype=np.float64).reshape(-1, 2)
    some, whole = table.sum(axis=0) if len(table) else (0.0, 0.0)
    if whole <= 0:
        return None
    if some in (0, whole):
        edge = _wilson(len(table) if some else 0, len(table), CONFIDENCE)
        return Estimate(some / whole, edge.low, edge.high, int(whole))
    drawn = _drawn(len(table), seed)
    sums = drawn @ table
    return _limits(some / whole, sums[:, 0] / sums[:, 1], int(whole))


def mean_by_file(parts: Sequence[tuple[float, float]], seed: int = 0) -> Estimate | None:
    """As `share_by_file`, for sums that are no share (of losses over tokens): always by bootstrap."""
    table = np.array([part for part in parts if part[1] > 0], dtype=np.float64).reshape(-1, 2)
    if not len(table):
        return None
    some, whole = table.sum(axis=0)
    sums = _drawn(len(table), seed) @ table
    return _limits(some / whole, sums[:, 0] / sums[:, 1], int(whole))


def compared(
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    ones: Sequence[float],
    others: Sequence[float],
    seed: int = 0,
    resamples: int = RESAMPLES // 4,
) -> Estimate | None:
    """A statistic of two samples, both drawn again for its limits; None where one of them is empty."""
    one, other = np.asarray(ones, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if not len(one) or not len(other):
        return None
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.choice(one, len(one)), rng.choice(other, len(other))) for _ in range(resamples)])
    return _limits(statistic(one, other), values, len(one) + len(other))


def _drawn(files: int, seed: int) -> NDArray[np.float64]:
    """How often each file is drawn in each resample, (RESAMPLES, files)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(files, np.full(files, 1 / files), size=RESAMPLES).astype(np.float64)


def _limits(value: float, resampled: NDArray[np.float64], count: int) -> Estimate:
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(value), min(float(low), float(value)), max(float(high), float(value)), count)
