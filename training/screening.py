"""Refuses updates that would end or poison a round, before they are joined. Knows numbers, and nothing of a strategy.

An honest majority is assumed: an update is held against the median of its round and of the rounds before. What is
plausible passes; against that, robust strategies (Krum, trimmed mean) are the remedy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import ArrayRecord

from training.aggregation import Factors
from training.errors import AggregationError, FederationError
from training.messages import (
    ARRAYS,
    EXAMPLES,
    METRICS,
    UPDATE_METRICS,
    Identity,
    identity_in,
    metrics_in,
)
from training.shared import from_record
from training.updates import Update

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flwr.app import RecordDict

NORM_LIMIT = 10.0
"""An update longer than this many medians is refused."""
WEIGHT_LIMIT = 100.0
"""A count of examples above this many medians is refused: who claims a billion would be the mean."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An update that was left out, and why."""

    server_round: int
    node: int
    reason: str


@dataclass(slots=True)
class Screen:
    """Holds each answer to the form, to the model's shapes, and to what the others send.

    `organizations`: who may take part. `norms`: medians of the accepted updates of earlier rounds. `metrics`: what each
    tells, no less (as what it spent of its privacy) and no more. Limits that are infinite let each update be judged by
    itself alone, as the privacy of organizations asks.
    """

    organizations: tuple[str, ...]
    full: bool
    norm_limit: float = NORM_LIMIT
    weight_limit: float = WEIGHT_LIMIT
    metrics: tuple[str, ...] = UPDATE_METRICS
    refusals: list[Refusal] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)

    def accepted(
        self, server_round: int, contents: Sequence[tuple[int, RecordDict]], shared: Mapping[str, Any]
    ) -> list[Update]:
        """The updates to join, in the order of the organizations' names; the rest is written to `refusals`."""
        read = [update for node, content in contents if (update := self._read(server_round, node, content, shared))]
        read.sort(key=lambda update: update.identity.organization)
        read = self._once_each(server_round, read)
        if not read:
            return []
        norm = _lower_median([*self.norms, *(update.norm for update in read)])
        examples = _lower_median([update.examples for update in read])
        kept = []
        for update in read:
            if update.norm > self.norm_limit * norm:
                self.refuse(server_round, update.node, f"its norm is {update.norm:.3g}, the median is {norm:.3g}")
            elif update.examples > self.weight_limit * examples:
                self.refuse(
                    server_round, update.node, f"it claims {update.examples:.0f} examples, the median is {examples:.0f}"
                )
            else:
                kept.append(update)
        if kept:
            self.norms.append(_lower_median([update.norm for update in kept]))
        return kept

    def refuse(self, server_round: int, node: int, reason: str) -> None:
        """Count an answer that is left out."""
        self.refusals.append(Refusal(server_round, node, reason))

    def _read(self, server_round: int, node: int, content: RecordDict, shared: Mapping[str, Any]) -> Update | None:
        try:
            identity = self._known(identity_in(content))
            metrics = metrics_in(content, self.metrics)
            matrices = self._against(from_record(content.array_records.get(ARRAYS, ArrayRecord())), shared)
            norm = _norm(matrices)
        except (AggregationError, FederationError, ValueError) as error:
            self.refuse(server_round, node, str(error))
            return None
        return Update(node, identity, matrices, content.metric_records[METRICS], metrics[EXAMPLES], norm)

    def _known(self, identity: Identity) -> Identity:
        if identity.organization not in self.organizations:
            message = f"{identity.organization!r} is no organization of the plan"
            raise FederationError(message)
        return identity

    def _against(self, sent: dict[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
        """What was sent as an addition to what is shared, each of the right form and finite."""
        if set(sent) != set(shared):
            message = f"it is of another model ({min(set(sent) ^ set(shared))!r} ...)"
            raise FederationError(message)
        for name, matrix in sent.items():
            if matrix.shape != shared[name].shape or isinstance(matrix, Factors) == self.full:
                message = f"its {name!r} is of shape {matrix.shape}, not {shared[name].shape}, or not of the method"
                raise FederationError(message)
            if isinstance(matrix, Factors) and matrix.rank > min(matrix.shape):
                message = f"its {name!r} has factors of rank {matrix.rank}, more than the matrix can have"
                raise FederationError(message)
            arrays = (matrix.up, matrix.down) if isinstance(matrix, Factors) else (matrix,)
            if not all(np.isfinite(array).all() for array in arrays):
                message = f"its {name!r} has values that are not finite"
                raise FederationError(message)
        return {name: sent[name] - shared[name] for name in shared} if self.full else {n: sent[n] for n in shared}

    def _once_each(self, server_round: int, updates: list[Update]) -> list[Update]:
        names = [update.identity.organization for update in updates]
        once = []
        for update, name in zip(updates, names, strict=True):
            if names.count(name) > 1:
                # Which of them is the organization cannot be told, so neither counts.
                self.refuse(server_round, update.node, f"{names.count(name)} nodes call themselves {name!r}")
            else:
                once.append(update)
        return once


def _norm(matrices: Mapping[str, Any]) -> float:
    squares = 0.0
    for matrix in matrices.values():
        length = matrix.norm() if isinstance(matrix, Factors) else float(np.linalg.norm(matrix.astype(np.float64)))
        squares += length**2
    if not math.isfinite(squares) or not squares:
        message = "it changes nothing" if not squares else "its norm is not finite"
        raise FederationError(message)
    return math.sqrt(squares)


def _lower_median(values: Sequence[float]) -> float:
    """The median; of an even number the smaller, so that of two the longer stands out."""
    return sorted(values)[(len(values) - 1) // 2]
