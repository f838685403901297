"""Rounds, strategies and who takes part in them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("flwr")
pytest.importorskip("peft")
from samples.federations import TERMS, Changing, difference, length, nodes, run

from training.base import open_base
from training.errors import FederationError
from training.federated import federate
from training.grid import LocalGrid
from training.messages import ARRAYS, METRICS
from training.plan import Budget, DataPlan
from training.shared import dense
from training.standing import STATE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flwr.app import Message

    from training.plan import Plan

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_training_together_lowers_the_loss(plan: Callable[..., Plan], method: str) -> None:
    outcome = run(plan(method=method, rounds=2))
    assert outcome.validation_loss is not None
    assert outcome.validation_loss < outcome.rounds[0]["validation_loss_before"]
    assert outcome.rounds[1]["loss"] < outcome.rounds[0]["loss"]
    assert set(outcome.organizations) == {"org-0", "org-1", "org-2"}


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("fedyogi", {"eta": 0.01}),
        ("fedadam", {"eta": 0.01}),
        ("fedprox", {"proximal_mu": 0.1}),
        ("krum", {"num_malicious_nodes": 0}),
        ("trimmed-mean", {"beta": 0.34}),
    ],
)
def test_each_strategy_of_flower_trains(plan: Callable[..., Plan], strategy: str, options: dict[str, Any]) -> None:
    outcome = run(plan(strategy=strategy, **options))
    assert outcome.validation_loss is not None
    assert outcome.validation_loss < outcome.rounds[0]["validation_loss_before"]


def test_the_aggregate_is_the_weighted_mean_of_the_full_updates(plan: Callable[..., Plan]) -> None:
    seen: list[Message] = []
    one = plan()
    outcome = federate(LocalGrid(nodes(one), seen.append), one, open_base(one.model.base), TERMS)
    updates = [message.content for message in seen if {ARRAYS, METRICS} <= set(message.content)]
    total = sum(float(update[METRICS]["num-examples"]) for update in updates)
    for name, matrix in outcome.matrices.items():
        mean = sum(
            update[METRICS]["num-examples"]
            / total
            * (
                update[ARRAYS][name + "|up"].numpy().astype(float)
                @ update[ARRAYS][name + "|down"].numpy().astype(float)
            )
            for update in updates
        )
        assert np.linalg.norm(dense(matrix) - mean) <= 1e-6 * np.linalg.norm(mean)


def test_nodes_begin_their_rows_elsewhere_where_the_plan_says_so(plan: Callable[..., Plan]) -> None:
    moving = dataclasses.replace(plan(rounds=2), data=DataPlan(row_starts="random"))
    one, again, still = run(moving), run(moving), run(plan(rounds=2))
    assert difference(one, again) == 0
    assert difference(one, still) > 0


def test_a_strong_proximal_term_holds_nodes_near_what_they_were_sent(plan: Callable[..., Plan]) -> None:
    assert length(run(plan(strategy="fedprox", proximal_mu=100.0))) < length(run(plan()))


def test_a_late_node_joins_the_next_round_and_one_that_left_is_not_waited_for(plan: Callable[..., Plan]) -> None:
    one = plan(3, rounds=3)
    there = {1: [1, 2], 2: [1, 2, 3], 3: [1, 3]}
    outcome = federate(
        Changing(nodes(one), lambda asked: there.get(asked, [1, 3])), one, open_base(one.model.base), TERMS
    )
    assert [entry["organizations"] for entry in outcome.rounds] == [
        ["org-0", "org-1"],
        ["org-0", "org-1", "org-2"],
        ["org-0", "org-2"],
    ]


def test_nodes_that_never_come_end_the_run(plan: Callable[..., Plan]) -> None:
    one = plan(3)
    with pytest.raises(FederationError, match="1 nodes came within 0 seconds, and a round needs 2"):
        federate(Changing(nodes(one), lambda _: [1]), one, open_base(one.model.base), TERMS)


@pytest.mark.parametrize("strategy", ["fedavg", "fedadam"])
def test_an_interrupted_federation_goes_on_from_its_last_round(
    plan: Callable[..., Plan], strategy: str, tmp_path: Path
) -> None:
    class Cut(Exception):  # noqa: N818
        pass

    def cut(_entry: dict[str, Any]) -> None:
        raise Cut

    one = plan(2, strategy, rounds=3)
    base, whole = open_base(one.model.base), run(one)
    with pytest.raises(Cut):
        federate(LocalGrid(nodes(one)), one, base, TERMS, tmp_path, cut)
    assert (tmp_path / STATE).is_file()
    resumed = federate(LocalGrid(nodes(one)), one, base, TERMS, tmp_path)
    assert [entry["round"] for entry in resumed.rounds] == [1, 2, 3]
    assert difference(whole, resumed) == 0


def test_a_loss_that_is_reached_ends_the_run(plan: Callable[..., Plan]) -> None:

    one = dataclasses.replace(plan(2, rounds=4), budget=Budget(validation_loss=1000.0))
    outcome = run(one)
    assert [entry["round"] for entry in outcome.rounds] == [1]
