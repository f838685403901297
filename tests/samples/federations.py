"""A federation in one process: the server's and the nodes' own apps, with only the carrier of messages exchanged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from training.base import open_base
from training.federated import federate
from training.grid import LocalGrid
from training.messages import ARRAYS
from training.node import client_app
from training.plan import (
    Federated,
    Method,
    ModelPlan,
    OptimizerPlan,
    Organization,
    Plan,
    Strategy,
    StrategyOptions,
)
from training.shared import dense
from training.strategies import Terms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.standing import Outcome

TERMS = Terms(minimum=2, wait=0.0, timeout=60.0)


def small_plan(
    base: Path,
    orgs: dict[str, Path],
    count: int = 3,
    strategy: str = "fedavg",
    method: str = "lora",
    rounds: int = 1,
    **options: Any,  # noqa: ANN401
) -> Plan:
    """A plan of the first `count` organizations."""
    return Plan(
        name="trial",
        model=ModelPlan(base=str(base), method=Method(method), rank=2, alpha=4),
        organizations=tuple(Organization(name=name, corpus=orgs[name]) for name in list(orgs)[:count]),
        regime=Federated(
            kind="federated",
            strategy=Strategy(strategy),
            rounds=rounds,
            local_passes=1.0,
            options=StrategyOptions(**options),
        ),
        optimizer=OptimizerPlan(learning_rate=1e-2, block=64),
    )


def nodes(plan: Plan, **others: ClientApp) -> dict[int, tuple[ClientApp, dict[str, Any]]]:
    """A node an organization; `others` replaces the app of some, by name with underscores."""
    return {
        number: (
            others.get(one.name.replace("-", "_"), client_app()),
            {"organization": one.name, "corpus": str(one.corpus), "base": plan.model.base},
        )
        for number, one in enumerate(plan.organizations, 1)
    }


def run(plan: Plan, **others: ClientApp) -> Outcome:
    return federate(LocalGrid(nodes(plan, **others)), plan, open_base(plan.model.base), TERMS)


def altered(change: Callable[[RecordDict], None]) -> ClientApp:
    """A node that trains, and changes what it sends."""
    honest, bad = client_app(), ClientApp()

    @bad.train()
    def _train(message: Message, context: Any) -> Message:  # noqa: ANN401
        reply = honest(message, context)
        change(reply.content)
        return reply

    @bad.evaluate()
    def _evaluate(message: Message, context: Any) -> Message:  # noqa: ANN401
        return honest(message, context)

    return bad


def scaled(factor: float) -> Callable[[RecordDict], None]:
    """Multiplies an update: with adapters, one factor of each pair."""

    def change(content: RecordDict) -> None:
        content[ARRAYS] = ArrayRecord(
            {
                name: Array(array.numpy() * np.float32(factor if name.endswith("|up") else 1))
                for name, array in content.array_records[ARRAYS].items()
            }
        )

    return change


def difference(one: Outcome, other: Outcome) -> float:
    """The largest difference of any entry of what is shared."""
    assert set(one.matrices) == set(other.matrices)
    return max(float(np.abs(dense(one.matrices[name]) - dense(other.matrices[name])).max()) for name in one.matrices)


def length(outcome: Outcome) -> float:
    return math.sqrt(sum(float(np.sum(np.square(dense(matrix)))) for matrix in outcome.matrices.values()))


class Changing(LocalGrid):
    """A grid whose nodes come and go: `present` says who is there when asked for the nth time."""

    def __init__(self, all_nodes: dict[int, Any], present: Callable[[int], list[int]]) -> None:
        super().__init__(all_nodes)
        self._present, self._asked = present, 0

    def get_node_ids(self) -> list[int]:
        self._asked += 1
        return self._present(self._asked)
