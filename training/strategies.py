"""Flower's strategies, held to a consortium's terms: enough nodes, in time, with updates that passed the screen.

The strategies themselves are Flower's. Around each stands a `Consortium`, which hands it updates of full rank (or
stacks low-rank ones, where the strategy is their mean). Knows no corpus and does no training.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg, FedProx, FedTrimmedAvg, FedYogi, Krum, Strategy
from flwr.serverapp.strategy.fedopt import FedOpt

from training.aggregation import Factors, stack
from training.errors import FederationError, PlanError
from training.messages import ARRAYS, METRICS
from training.plan import Method
from training.plan import Strategy as Kind
from training.shared import dense, from_record, plus, to_record
from training.updates import pooled, recited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flwr.serverapp import Grid

    from training.organization_privacy import OrganizationNoise
    from training.plan import Federated
    from training.screening import Screen
    from training.updates import Update

_KINDS: dict[Kind, type[FedAvg]] = {
    Kind.FEDAVG: FedAvg,
    Kind.FEDYOGI: FedYogi,
    Kind.FEDADAM: FedAdam,
    Kind.FEDPROX: FedProx,
    Kind.KRUM: Krum,
    Kind.TRIMMED_MEAN: FedTrimmedAvg,
}
MEANS = frozenset({Kind.FEDAVG, Kind.FEDPROX})
"""Strategies whose aggregate is the weighted mean: updates of low rank can stay factors."""
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Terms:
    """What a round needs. `minimum`: nodes without whose updates it ends. `wait`, `timeout`: seconds.

    The first round waits `wait` for every organization, then begins with those that are there; a later round waits
    only while they are fewer than `minimum`. Answers that come after `timeout` are left out.
    """

    minimum: int = 2
    wait: float = 600.0
    timeout: float = 3600.0
    norm_limit: float = 10.0


def flower_strategy(regime: Federated, organizations: int) -> FedAvg:
    """Flower's strategy of a plan, for that many organizations.

    Raises:
        PlanError: a robust strategy that would withstand nobody among so few.
    """
    options = regime.options.given()
    if regime.strategy is Kind.KRUM:
        options["num_malicious_nodes"] = int(options.get("num_malicious_nodes", max(1, (organizations - 3) // 2)))
    if regime.strategy is Kind.TRIMMED_MEAN:
        options.setdefault("beta", 0.2)
    strategy = _KINDS[regime.strategy](
        fraction_evaluate=0.0,
        min_train_nodes=1,
        min_available_nodes=1,
        **options,  # type: ignore[arg-type]
    )
    if complaint := _too_few(strategy, organizations):
        raise PlanError(complaint)
    return strategy


def _too_few(strategy: FedAvg, nodes: int) -> str | None:
    """Why a robust strategy protects from nothing with so many nodes."""
    if isinstance(strategy, Krum):
        malicious = strategy.num_malicious_nodes
        # Blanchard et al. 2017, arXiv 1703.02757, proposition 2: n >= 2 f + 3.
        if malicious and nodes < 2 * malicious + 3:
            return (
                f"krum withstands {malicious} of at least {2 * malicious + 3} nodes, and there are {nodes}: "
                "take another strategy, or set num_malicious_nodes = 0, which withstands nobody"
            )
    if isinstance(strategy, FedTrimmedAvg) and int(strategy.beta * nodes) < 1:
        enough = math.ceil(100 / nodes) / 100 if nodes else 0.5
        return f"trimmed-mean with beta = {strategy.beta} trims none of {nodes} nodes: raise beta to {enough:.2f}"
    return None


class Present:
    """A grid with the nodes that were there a moment ago, so that Flower samples from these and waits for no other."""

    def __init__(self, nodes: Sequence[int]) -> None:
        self._nodes = list(nodes)

    def get_node_ids(self) -> list[int]:
        """The nodes."""
        return list(self._nodes)


class Ended(Exception):  # noqa: N818 - no error: how a Flower run is left early
    """What nodes received is as good as the plan asks, or recites more than it allows: `reason`, as stages tell it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Consortium(Strategy):
    """One of Flower's strategies within the terms.

    `noise`: for the privacy of organizations. `record`: what is shared, as it goes to the nodes next. `last`: the nodes
    that took part in the round before. `target`: the loss on held-out code that ends the run. `stop_above`: the share
    of one organization's sample that what is shared may recite. `after_round`: called behind each.
    """

    def __init__(
        self,
        inner: FedAvg,
        screen: Screen,
        terms: Terms,
        *,
        stacked: bool,
        noise: OrganizationNoise | None = None,
    ) -> None:
        self.inner, self.screen, self.terms, self.stacked, self.noise = inner, screen, terms, stacked, noise
        self.target: float | None = None
        self.stop_above: float | None = None
        self.after_round: Callable[[int, Consortium, Sequence[Update]], None] | None = None
        self.rounds_before = 0
        self.record = ArrayRecord()
        self.last: list[int] = []

    def summary(self) -> None:
        """Log the strategy's own settings."""
        self.inner.summary()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send what is shared to the nodes that are there.

        Raises:
            FederationError: too few come in time.
        """
        self.record = arrays
        everyone = len(self.screen.organizations)
        nodes = _wait(grid, self.terms, everyone if server_round == 1 else self.terms.minimum)
        return self.inner.configure_train(
            server_round + self.rounds_before,
            arrays,
            config,
            Present(nodes),  # type: ignore[arg-type]
        )

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Join the updates that pass.

        Raises:
            FederationError: too few pass.
            Ended: what these nodes were sent is good enough, or recites too much.
        """
        number = server_round + self.rounds_before
        current = from_record(self.record)
        updates = self._accepted(number, replies, current)
        if number > 1:
            self._end(updates)
        arrays, metrics = (self._stack if self.stacked else self._hand_over)(number, updates, current)
        self.record = arrays
        if self.after_round is not None:
            self.after_round(number, self, updates)
        return arrays, metrics

    def _end(self, updates: Sequence[Update]) -> None:
        """Raise Ended where a bound is met. The base itself, which round 1 sends out, is held to none."""
        if self.stop_above is not None and max(recited(updates).values()) > self.stop_above:
            reason = "memorization"
            raise Ended(reason)
        if self.target is not None and pooled(updates) <= self.target:
            reason = "validation loss"
            raise Ended(reason)

    def _accepted(self, number: int, replies: Iterable[Message], current: dict) -> list[Update]:  # type: ignore[type-arg]
        contents = []
        for reply in replies:
            node = reply.metadata.src_node_id
            if reply.has_error():
                self.screen.refuse(number, node, f"it did not train: {reply.error.reason}")
            else:
                contents.append((node, reply.content))
        updates = self.screen.accepted(number, contents, current)
        complaint = _too_few(self.inner, len(updates))
        if len(updates) < self.terms.minimum or complaint:
            reasons = "; ".join(
                f"node {refusal.node}: {refusal.reason}"
                for refusal in self.screen.refusals
                if refusal.server_round == number
            )
            message = (
                f"round {number} has {len(updates)} updates, "
                + (complaint or f"fewer than the {self.terms.minimum} it needs")
                + (f" (refused: {reasons})" if reasons else " (no node was refused: look at their logs)")
            )
            raise FederationError(message)
        self.last = [update.node for update in updates]
        return updates

    def _stack(self, _number: int, updates: Sequence[Update], current: dict) -> tuple[ArrayRecord, MetricRecord]:  # type: ignore[type-arg]
        weights = [update.examples for update in updates]
        joined = {
            name: plus(matrix, stack([update.matrices[name] for update in updates], weights))  # type: ignore[misc]
            for name, matrix in current.items()
        }
        contents = [RecordDict({METRICS: update.metrics}) for update in updates]
        return to_record(joined), self.inner.train_metrics_aggr_fn(contents, self.inner.weighted_by_key)

    def _hand_over(self, number: int, updates: Sequence[Update], current: dict) -> tuple[ArrayRecord, MetricRecord]:  # type: ignore[type-arg]
        """Let Flower's strategy join full updates.

        It gets differences, not weights: distances of weights (Krum) drown in rounding. Only those that optimize at
        the server (FedOpt) subtract by themselves, and get weights.
        """
        whole = {name: dense(matrix) for name, matrix in current.items()}
        adds = isinstance(self.inner, FedOpt)
        messages = [_full(update, whole if adds else None) for update in updates]
        join = self.inner.aggregate_train if self.noise is None else partial(self.noise.joined, self.inner)
        record, metrics = join(number, messages)
        if record is None or metrics is None:
            message = f"round {number}: the strategy joined nothing"
            raise FederationError(message)
        joined = {name: array.numpy() for name, array in record.items()}
        if not adds:
            joined = {name: whole[name] + joined[name] for name in whole}
        return to_record({name: np.asarray(joined[name], np.float32) for name in whole}), metrics

    def configure_evaluate(self, *_: object) -> Iterable[Message]:
        """Nothing: nodes tell the loss of what they received with their update."""
        return []

    def aggregate_evaluate(self, *_: object) -> MetricRecord | None:
        """Nothing was asked."""
        return None


def consortium(
    regime: Federated, method: Method, screen: Screen, terms: Terms, noise: OrganizationNoise | None = None
) -> Consortium:
    """The strategy of a plan within terms."""
    inner = flower_strategy(regime, len(screen.organizations))
    stacked = method is Method.LORA and stays_factors(regime, noise)
    return Consortium(inner, screen, terms, stacked=stacked, noise=noise)


def stays_factors(regime: Federated, noise: OrganizationNoise | None) -> bool:
    """Whether updates of low rank are joined to one; noise has every rank."""
    return regime.strategy in MEANS and noise is None


def _wait(grid: Grid, terms: Terms, wanted: int) -> list[int]:
    deadline = time.monotonic() + terms.wait
    while len(nodes := sorted(grid.get_node_ids())) < wanted and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if len(nodes) < terms.minimum:
        message = (
            f"{len(nodes)} nodes came within {terms.wait:g} seconds, and a round needs {terms.minimum}: "
            "start more, or lower the minimum"
        )
        raise FederationError(message)
    return nodes


def _full(update: Update, base: dict | None) -> Message:  # type: ignore[type-arg]
    arrays = {}
    for name, matrix in update.matrices.items():
        full = dense(matrix) if isinstance(matrix, Factors) else matrix
        arrays[name] = Array(np.asarray(full if base is None else base[name] + full, np.float32))
    content = RecordDict({ARRAYS: ArrayRecord(arrays), METRICS: update.metrics})
    return Message(content=content, dst_node_id=update.node, message_type="train")
