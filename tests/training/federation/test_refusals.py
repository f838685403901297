"""Updates and nodes that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("flwr")
pytest.importorskip("peft")
from samples.federations import TERMS, altered, difference, nodes, run, scaled

from training.base import open_base
from training.errors import FederationError
from training.federated import federate
from training.grid import LocalGrid
from training.messages import IDENTITY, METRICS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flwr.app import RecordDict

    from training.plan import Plan

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 100.0])
def test_a_malicious_update_is_refused_and_the_result_is_that_without_it(
    plan: Callable[..., Plan], factor: float
) -> None:
    four = plan(4)
    outcome = run(four, org_3=altered(scaled(factor)))
    assert [refusal.node for refusal in outcome.refusals] == [4]
    assert "not finite" in outcome.refusals[0].reason or "norm" in outcome.refusals[0].reason
    assert outcome.rounds[0]["refused"] == 1
    assert difference(outcome, run(plan(3))) == 0


@pytest.mark.parametrize("examples", [0.0, -5.0, 1e9, float("nan")])
def test_a_node_cannot_claim_any_weight(plan: Callable[..., Plan], examples: float) -> None:
    def claim(content: RecordDict) -> None:
        content[METRICS]["num-examples"] = examples

    assert difference(run(plan(4), org_3=altered(claim)), run(plan(3))) == 0


def test_two_nodes_of_one_name_are_both_refused(plan: Callable[..., Plan]) -> None:
    def pretend(content: RecordDict) -> None:
        content[IDENTITY]["organization"] = "org-2"

    outcome = run(plan(4), org_3=altered(pretend))
    assert sorted(refusal.node for refusal in outcome.refusals) == [3, 4]
    assert set(outcome.organizations) == {"org-0", "org-1"}


def test_a_round_with_too_few_updates_ends_the_run_with_the_reasons(plan: Callable[..., Plan]) -> None:
    bad = altered(scaled(float("nan")))
    with pytest.raises(FederationError, match=r"round 1 has 1 updates, fewer than the 2.*node 2: its .* not finite"):
        run(plan(3), org_1=bad, org_2=bad)


def test_a_node_with_another_base_refuses_before_it_trains(plan: Callable[..., Plan], plain_base: Path) -> None:
    one = plan(3)
    others = nodes(one)
    others[1][1]["base"] = str(plain_base)
    outcome = federate(LocalGrid(others), one, open_base(one.model.base), TERMS)
    assert [refusal.node for refusal in outcome.refusals] == [1]
    assert "another base or tokenizer" in outcome.refusals[0].reason
    assert str(plain_base) not in outcome.refusals[0].reason
