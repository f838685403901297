"""Can files that were trained on be told from files that were not? Scores of a file, and how well they separate.

Loss (Yeom et al. 2018), loss over zlib's size (Carlini et al., Extracting Training Data, 2021, section 5.2), min-k %
(Shi et al., Detecting Pretraining Data, 2024, section 4). Low false positive rates matter most (Carlini et al.,
Membership Inference Attacks From First Principles, 2022). Knows no model: it is given the log-probabilities of tokens.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LOWEST = 0.2
"""Share of the tokens that min-k % looks at."""
FALSE_POSITIVES = 0.01
"""Rate at which true positives are told."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One text's scores: the higher, the more likely it was trained on."""

    loss: float
    zlib: float
    min_k: float


def scores(logprobs: ArrayLike, text: str) -> Scores:
    """The scores of `text` from the natural logarithms of its tokens' probabilities, of which there must be some."""
    values = np.asarray(logprobs, dtype=np.float64)
    if not len(values):
        message = "a text without tokens has no score"
        raise ValueError(message)
    lowest = np.sort(values)[: max(1, round(LOWEST * len(values)))]
    size = len(zlib.compress(text.encode("utf-8", "surrogatepass")))
    return Scores(float(values.mean()), float(values.sum() / size), float(lowest.mean()))


def auc(members: ArrayLike, others: ArrayLike) -> float:
    """Chance that a member scores higher than another, ties counted half: the area under the ROC curve."""
    ones, rest = np.asarray(members, dtype=np.float64), np.sort(np.asarray(others, dtype=np.float64))
    below = np.searchsorted(rest, ones, "left")
    level = np.searchsorted(rest, ones, "right") - below
    return float((below + level / 2).sum() / (len(ones) * len(rest)))


def true_positives(members: ArrayLike, others: ArrayLike, rate: float = FALSE_POSITIVES) -> float:
    """Share of the members above the lowest threshold at which at most `rate` of the others are taken for members.

    With fewer than 1/rate others that is the threshold above all of them.
    """
    ones, rest = np.asarray(members, dtype=np.float64), np.sort(np.asarray(others, dtype=np.float64))[::-1]
    threshold = rest[int(rate * len(rest) + 1e-9)]
    return float((ones > threshold).mean())


def roc(members: ArrayLike, others: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates at every threshold, both rising from 0 to 1."""
    ones, rest = np.sort(np.asarray(members, dtype=np.float64)), np.sort(np.asarray(others, dtype=np.float64))
    thresholds = np.unique(np.concatenate([ones, rest]))[::-1]
    true = 1 - np.searchsorted(ones, thresholds, "left") / len(ones)
    false = 1 - np.searchsorted(rest, thresholds, "left") / len(rest)
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])
