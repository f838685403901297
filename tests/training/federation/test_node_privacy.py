"""Nodes that train with privacy: each within its own budget, whatever the server asks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("flwr")
pytest.importorskip("opacus")
pytest.importorskip("dp_accounting", reason="needs dp-accounting")
from samples.federations import TERMS, altered, nodes

from training.base import open_base
from training.errors import FederationError
from training.federated import federate, spent_in
from training.grid import LocalGrid
from training.messages import METRICS, PRIVACY_METRICS
from training.plan import PrivacyPlan
from training.privacy import epsilon_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flwr.app import Message, RecordDict
    from flwr.clientapp import ClientApp

    from training.plan import Plan
    from training.standing import Outcome

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PRIVACY = PrivacyPlan(unit="example", epsilon=8.0, delta=1e-3)


@pytest.fixture
def private(plan: Callable[..., Plan]) -> Plan:
    return dataclasses.replace(plan(2, rounds=2), privacy=PRIVACY)


def trained(
    plan: Plan, folder: Path, seen: Callable[[Message], object] | None = None, epsilon: str = "", **others: ClientApp
) -> Outcome:
    """A federation whose nodes count in `folder`."""
    there = nodes(plan, **others)
    for _, config in there.values():
        config |= {"ledger": str(folder / config["organization"]), "epsilon": epsilon}
    return federate(LocalGrid(there, seen), plan, open_base(plan.model.base), TERMS)


def test_every_organization_spends_its_budget_and_no_more(private: Plan, tmp_path: Path) -> None:
    messages: list[Message] = []
    outcome = trained(private, tmp_path, messages.append)
    accounts = spent_in(outcome)
    assert [account.organizations for account, _ in accounts] == [("org-0",), ("org-1",)]
    for account, steps in accounts:
        assert steps == account.budget.steps
        assert 7.5 < epsilon_of((account.budget,), PRIVACY.delta) <= PRIVACY.epsilon
    # What is read of training examples without noise stays at home.
    updates = [one.content[METRICS] for one in messages if set(PRIVACY_METRICS) <= set(one.content.get(METRICS, ()))]
    assert len(updates) == 4
    assert all(one["loss"] == one["validation-loss"] for one in updates)

    # The same plan begun anew has nothing left, and another pays for the first on the same examples.
    with pytest.raises(FederationError, match="its privacy budget for this plan is spent"):
        trained(private, tmp_path)
    more = dataclasses.replace(private, seed=1, privacy=dataclasses.replace(PRIVACY, epsilon=12.0))
    for (first, _), (second, _) in zip(accounts, spent_in(trained(more, tmp_path)), strict=True):
        assert 11.5 < epsilon_of((first.budget, second.budget), PRIVACY.delta) <= 12.0


def test_a_node_has_a_bound_of_its_own(private: Plan, plan: Callable[..., Plan], tmp_path: Path) -> None:
    with pytest.raises(FederationError, match="the plan asks for epsilon 8, and it allows 4 at most"):
        trained(private, tmp_path, epsilon="4")
    with pytest.raises(FederationError, match="it trains with privacy alone, at epsilon 4 at most"):
        trained(plan(2), tmp_path, epsilon="4")
    assert not any(tmp_path.rglob("ledger.json"))


def test_who_does_not_tell_what_it_spent_is_refused(private: Plan, tmp_path: Path) -> None:
    def silent(content: RecordDict) -> None:
        for name in PRIVACY_METRICS:
            content[METRICS].pop(name, None)

    with pytest.raises(FederationError, match="it has the metrics"):
        trained(private, tmp_path, org_0=altered(silent))
