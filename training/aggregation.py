"""Joins low-rank updates without error. Knows matrices and weights; nothing of models, messages or training.

An adapter's update of one matrix is the product of its factors, and the mean of products is not the product of the
means. So either the factors are stacked (FLoRA: Wang et al. 2024, arXiv 2409.05976, section 3), which is exact at the
sum of the ranks, or they are averaged and what that misses is kept beside them (FedEx-LoRA: Singhal et al. 2024, arXiv
2410.09432, section 4), which is exact at full rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.errors import AggregationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.floating[Any]]

TOLERANCE = 1e-9
"""Singular values below this share of the largest are rounding, and `Factors.compact` leaves them out."""


@dataclass(frozen=True, slots=True)
class Factors:
    """An update of one matrix: `scale * up @ down`. `up` is (outputs, rank), `down` is (rank, inputs)."""

    up: Matrix
    down: Matrix
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.up.ndim != 2 or self.down.ndim != 2 or self.up.shape[1] != self.down.shape[0]:  # noqa: PLR2004
            message = f"factors of shapes {self.up.shape} and {self.down.shape} have no product: send (out, r), (r, in)"
            raise AggregationError(message)

    @property
    def rank(self) -> int:
        """The inner dimension: no less than the rank of the update."""
        return int(self.down.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """(outputs, inputs) of the matrix that is updated."""
        return int(self.up.shape[0]), int(self.down.shape[1])

    def dense(self) -> NDArray[np.float64]:
        """The update as (outputs, inputs)."""
        return np.asarray(self.scale * (self.up.astype(np.float64) @ self.down.astype(np.float64)))

    def norm(self) -> float:
        """The Frobenius norm of the update, from the factors' Gram matrices: no full matrix is formed."""
        up, down = self.up.astype(np.float64), self.down.astype(np.float64)
        return abs(self.scale) * float(np.sqrt(max(0.0, np.sum((up.T @ up) * (down @ down.T)))))

    def compact(self, rank: int | None = None) -> tuple[Factors, float]:
        """The same update at its own rank, or the nearest one of at most `rank` (Eckart & Young 1936), scale 1.

        Returns:
            The factors (float64, each carrying the roots of the singular values), and the relative error in the
            Frobenius norm: 0 but for rounding where `rank` leaves nothing out.
        """
        left, above = np.linalg.qr(self.scale * self.up.astype(np.float64))
        right, below = np.linalg.qr(self.down.astype(np.float64).T)
        u, singular, v = np.linalg.svd(above @ below.T, full_matrices=False)
        kept = max(1, int(np.sum(singular > TOLERANCE * singular[0]))) if singular.size else 0
        kept = kept if rank is None else min(kept, rank)
        roots = np.sqrt(singular[:kept])
        whole = float(np.linalg.norm(singular))
        error = float(np.linalg.norm(singular[kept:])) / whole if whole else 0.0
        return Factors(left @ (u[:, :kept] * roots), (roots[:, None] * v[:kept]) @ right.T), error


def shares(weights: Sequence[float]) -> list[float]:
    """Weights as shares of one.

    Raises:
        AggregationError: there is none, or one is negative or not finite, or all are zero.
    """
    total = float(np.sum(weights)) if len(weights) else 0.0
    if not np.isfinite(total) or total <= 0 or min(weights) < 0:
        message = f"weights {list(weights)} have no mean: give each update its count of examples, one at least positive"
        raise AggregationError(message)
    return [weight / total for weight in weights]


def mean_update(updates: Sequence[Factors], weights: Sequence[float]) -> NDArray[np.float64]:
    """The weighted mean of the full updates, (outputs, inputs): what every aggregation is held to."""
    _require_same_matrix(updates)
    total = np.zeros(updates[0].shape)
    for update, share in zip(updates, shares(weights), strict=True):
        total += share * update.dense()
    return total


def stack(updates: Sequence[Factors], weights: Sequence[float]) -> Factors:
    """The weighted mean as factors: the updates side by side, at the sum of their ranks (FLoRA).

    Ranks and scales may differ. The shares go into `up` alone; in both factors they would count twice.
    """
    _require_same_matrix(updates)
    up = [share * update.scale * update.up for update, share in zip(updates, shares(weights), strict=True)]
    return Factors(np.concatenate(up, axis=1), np.concatenate([update.down for update in updates], axis=0))


def add(first: Factors, second: Factors) -> Factors:
    """The sum of two updates, at the sum of their ranks."""
    _require_same_matrix((first, second))
    up = np.concatenate([first.scale * first.up, second.scale * second.up], axis=1)
    return Factors(up, np.concatenate([first.down, second.down], axis=0))


def average_factors(updates: Sequence[Factors], weights: Sequence[float]) -> Factors:
    """The means of the factors, which are *not* the factors of the mean: use it with its `residual` only.

    Raises:
        AggregationError: ranks or scales differ.
    """
    _require_same_matrix(updates)
    if len({(update.rank, update.scale) for update in updates}) > 1:
        message = f"ranks {[update.rank for update in updates]} differ, or scales: stack them instead"
        raise AggregationError(message)
    parts = list(zip(updates, shares(weights), strict=True))
    up = np.sum([share * update.up.astype(np.float64) for update, share in parts], axis=0)
    down = np.sum([share * update.down.astype(np.float64) for update, share in parts], axis=0)
    return Factors(up, down, updates[0].scale)


def residual(updates: Sequence[Factors], weights: Sequence[float]) -> tuple[Factors, NDArray[np.float64]]:
    """The averaged factors, and the matrix to add to the frozen weight so that both give the mean (FedEx-LoRA)."""
    mean = average_factors(updates, weights)
    return mean, mean_update(updates, weights) - mean.dense()


def _require_same_matrix(updates: Sequence[Factors]) -> None:
    shapes = {update.shape for update in updates}
    if len(shapes) != 1:
        message = f"updates of shapes {sorted(shapes)} are not of one matrix: aggregate each matrix by itself"
        raise AggregationError(message)
