"""What the rounds of a federation may spend of an organization's privacy. Knows no transport and no other organization.

Each organization keeps its ledger where its corpus lies: a folder for each run, by what its orders have in common. What
earlier runs may have spent counts against a later one, so that nobody spends twice by asking twice.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import NodeRefusalError, PlanError
from training.local import Fingerprint, arguments_for, steps_a_pass
from training.noisy import train_noisily
from training.privacy import LEDGER, Ledger, Spending, affordable, require_delta

if TYPE_CHECKING:
    from training.blocks import Blocks
    from training.messages import Orders
    from training.plan import OptimizerPlan, PrivacyPlan

_LOG = logging.getLogger(__name__)


class RoundLedger(Ledger):
    """The ledger of a run, of which one round takes `steps` at most."""

    def __init__(self, folder: Path, budget: Spending, steps: int) -> None:
        super().__init__(folder, budget)
        self._until = min(budget.steps, self.steps + steps)

    @property
    def left(self) -> int:
        """Steps that the round still has."""
        return self._until - self.steps


def steps_of_rounds(blocks: Blocks, settings: OptimizerPlan, passes: float, rounds: int = 1) -> int:
    """The optimizer's steps in `rounds` rounds of `passes` over rows of one example each."""
    return rounds * max(1, math.ceil(steps_a_pass(blocks, settings) * passes))


@dataclasses.dataclass(frozen=True, slots=True)
class Spent:
    """Where an organization counts what it spends, and what the base may hold of its examples besides."""

    folder: Path
    base: tuple[Spending, ...] = ()


def train_privately(
    model: Any,  # noqa: ANN401 - a model of transformers or peft
    blocks: Blocks,
    orders: Orders,
    settings: PrivacyPlan,
    spent: Spent,
) -> RoundLedger:
    """Train `model` in place for one round, within what is left of the budget; what is spent then.

    Raises NodeRefusalError where nothing is left.
    """
    ledger = _ledger(blocks, orders, settings, spent)
    if not ledger.left:
        message = "its privacy budget for this plan is spent"
        raise NodeRefusalError(message)
    unmoved = Fingerprint(model)
    with tempfile.TemporaryDirectory(prefix="cr-train-") as scratch:
        arguments = arguments_for(
            model, orders.optimizer, blocks, Path(scratch), passes=orders.passes, seed=orders.seed, save_strategy="no"
        )
        train_noisily(model, arguments, blocks, None, ledger=ledger, clip=settings.clip)
    unmoved.require_moved(model)
    return ledger


def require_private(orders: Orders, most: float | None) -> None:
    """Raise NodeRefusalError for orders that ask for more than the operator of the node allows; None allows all."""
    if most is None:
        return
    if orders.privacy is None:
        message = f"it trains with privacy alone, at epsilon {most:g} at most: add [privacy] to the plan"
        raise NodeRefusalError(message)
    if orders.privacy.epsilon > most:
        message = f"the plan asks for epsilon {orders.privacy.epsilon:g}, and it allows {most:g} at most"
        raise NodeRefusalError(message)


def _ledger(blocks: Blocks, orders: Orders, settings: PrivacyPlan, spent: Spent) -> RoundLedger:
    """The ledger of these orders, begun where there is none. Raises NodeRefusalError where the budget is used up."""
    own = spent.folder / run_name(orders)
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    budget = _budget_in(own)
    if budget is None:
        # A run of this federation that made the base is in its record and in the ledger: it is counted once.
        before = Counter(spent.base) | Counter(_budgets(spent.folder))
        budget = _affordable(tuple(sorted(before.elements(), key=dataclasses.astuple)), blocks, orders, settings)
    return RoundLedger(own, budget, steps_of_rounds(blocks, orders.optimizer, orders.passes))


def _affordable(before: tuple[Spending, ...], blocks: Blocks, orders: Orders, settings: PrivacyPlan) -> Spending:
    steps = steps_of_rounds(blocks, orders.optimizer, orders.passes, orders.rounds)
    try:
        require_delta(settings, {"this node": blocks.examples})
        return affordable(before, 1 / steps_a_pass(blocks, orders.optimizer), steps, settings)
    except PlanError as error:
        _LOG.exception("the privacy that the plan asks for cannot be kept")
        message = "its privacy has no room for this plan; the node's own log says why"
        raise NodeRefusalError(message) from error


def run_name(orders: Orders) -> str:
    """What the orders of all rounds of one run have in common, as the name of a folder."""
    told = dataclasses.replace(orders, server_round=1, proximal=0.0)
    told = dataclasses.replace(told, model=dataclasses.replace(told.model, base="agreed"))
    plain = json.dumps(dataclasses.asdict(told), sort_keys=True)
    return hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()


def _budgets(folder: Path) -> list[Spending]:
    """The whole budgets of all runs: steps that one has not made yet, it may still make."""
    return [budget for one in sorted(folder.iterdir()) if (budget := _budget_in(one)) is not None]


def _budget_in(folder: Path) -> Spending | None:
    path = folder / LEDGER
    if not path.is_file():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    told.pop("spent")
    return Spending(**told)
