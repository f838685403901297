"""What privacy training spends, and the ledger that keeps it within its budget. Knows no model and no gradient.

The unit is the example: a line of a corpus' train.jsonl, one file of source. (epsilon, delta) bounds how much the
trained weights tell whether one such line was there (Abadi et al. 2016, arXiv 1607.00133); neighbouring corpora differ
by one line, and how many lines there are counts as public. dp-accounting composes steps numerically, by the
distribution of the privacy loss (Koskela et al. 2020, arXiv 1906.03049; Doroshenko et al. 2022, arXiv 2207.04380).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from training.errors import PlanError, StoppedError
from training.plan import Centralized, Federated, Incremental, Strategy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from training.plan import Plan, PrivacyPlan

LEDGER = "ledger.json"
_GRID = 1e-3
"""Width of the steps on which the privacy loss is discretised; rounded such that epsilon is never too small."""
_QUIETEST, _LOUDEST = 0.2, 100.0
"""Noise multipliers that are looked at: below, epsilon is in the hundreds; above, nothing is learnt."""


@dataclass(frozen=True, slots=True)
class Spending:
    """Steps of DP-SGD, each of which draws every example with probability `sample_rate`.

    `noise_multiplier`: standard deviation of the noise, over the norm to which an example's gradient is clipped.
    """

    noise_multiplier: float
    sample_rate: float
    steps: int


@lru_cache(maxsize=64)
def epsilon_of(spent: tuple[Spending, ...], delta: float) -> float:
    """Epsilon of all that was spent on one example, at `delta`. Raises PlanError without dp-accounting."""
    accounting, pld = _accounting()
    accountant = pld.PLDAccountant(value_discretization_interval=_GRID)
    for one in spent:
        accountant.compose(_event(accounting, one))
    return float(accountant.get_epsilon(delta))


@lru_cache(maxsize=64)
def affordable(before: tuple[Spending, ...], rate: float, steps: int, settings: PrivacyPlan) -> Spending:
    """The least noise with which `steps` steps keep within the budget, `before` having been spent on the same examples.

    Raises PlanError where no noise would do, or dp-accounting is not installed.
    """
    already = epsilon_of(before, settings.delta) if before else 0.0
    if already >= settings.epsilon:
        message = (
            f"privacy.epsilon is {settings.epsilon:g}, of which {already:.4g} was spent when the base was trained: "
            "nothing is left to train with; choose another base, or agree on a greater epsilon"
        )
        raise PlanError(message)

    def kept(noise: float) -> bool:
        return epsilon_of((*before, Spending(noise, rate, steps)), settings.delta) <= settings.epsilon

    # Small brackets: at little noise, composing is slow.
    quiet = loud = 1.0
    while not kept(loud):
        if loud > _LOUDEST:
            message = f"privacy.epsilon {settings.epsilon:g} leaves no room for {steps} steps: train fewer passes"
            raise PlanError(message)
        quiet, loud = loud, loud * 2
    while quiet == loud or kept(quiet):
        if quiet < _QUIETEST:
            return Spending(quiet, rate, steps)
        loud, quiet = quiet, quiet / 2
    accounting, pld = _accounting()
    noise = math.exp(
        accounting.calibrate_dp_mechanism(
            lambda: pld.PLDAccountant(value_discretization_interval=_GRID),
            lambda x: _composed(accounting, (*before, Spending(math.exp(x), rate, steps))),
            settings.epsilon,
            settings.delta,
            accounting.ExplicitBracketInterval(math.log(quiet), math.log(loud)),
            tol=1e-3,
        )
    )
    # The search ends beside the root, on whichever side.
    while not kept(noise):
        noise *= 1.001
    return Spending(noise, rate, steps)


def _accounting() -> tuple[Any, Any]:
    try:
        return import_module("dp_accounting"), import_module("dp_accounting.pld")
    except ModuleNotFoundError as error:
        message = f"[privacy] needs dp-accounting ({error}): run `pip install --no-deps dp-accounting==0.6.0`"
        raise PlanError(message) from error


def _event(accounting: Any, one: Spending) -> Any:  # noqa: ANN401 - dp-accounting ships no types
    gaussian = accounting.GaussianDpEvent(one.noise_multiplier)
    return accounting.SelfComposedDpEvent(accounting.PoissonSampledDpEvent(one.sample_rate, gaussian), one.steps)


def _composed(accounting: Any, spent: tuple[Spending, ...]) -> Any:  # noqa: ANN401 - as above
    return accounting.ComposedDpEvent([_event(accounting, one) for one in spent])


def complaints(plan: Plan) -> Iterator[str]:
    """What keeps a plan from having the privacy that it names; nothing for one that names none."""
    if plan.privacy is None:
        return
    if plan.monitor is not None and plan.monitor.stop_above is not None:
        yield "monitor.stop_above reads the training data without noise: with [privacy] leave it out"
    if plan.monitor is not None and isinstance(plan.regime, Federated):
        yield "monitor has nodes tell what is recited without noise: with [privacy] leave it out of a federation"
    yield from _of_organizations(plan) if plan.organization_privacy is not None else _of_examples(plan)


def _of_organizations(plan: Plan) -> Iterator[str]:
    if not isinstance(plan.regime, Federated) or plan.regime.strategy not in {Strategy.FEDAVG, Strategy.FEDPROX}:
        yield (
            "privacy.unit is 'organization', which the server of a federation keeps by the mean of clipped updates: "
            'write kind = "federated" and strategy = "fedavg", or unit = "example"'
        )
    if plan.budget.validation_loss is not None:
        yield (
            "budget.validation_loss would end the run by what organizations tell without noise: with privacy.unit "
            "'organization' leave it out"
        )


def _of_examples(plan: Plan) -> Iterator[str]:
    regime = plan.regime
    if isinstance(regime, Federated) and regime.strategy is Strategy.FEDPROX:
        yield "regime.strategy is 'fedprox', whose term DP-SGD does not have: with [privacy] choose another strategy"
    if isinstance(regime, Incremental) and isinstance(regime.order, str):
        yield f"regime.order is {regime.order!r}, read off the code without noise: with [privacy] name the order"
    if isinstance(regime, Centralized) and plan.data.deduplicate and len(plan.organizations) > 1:
        yield (
            "data.deduplicate is true and lets one example decide whether another is trained on: with [privacy] write "
            "false, or train compartments"
        )
    if plan.data.repeat:
        yield "data.repeat has a pass read an example several times, each at its price: with [privacy] leave it out"
    if plan.data.row_starts == "random":
        yield 'data.row_starts is "random", but with [privacy] a row is an example from its beginning: leave it out'


def require_delta(settings: PrivacyPlan, examples: Mapping[str, int]) -> None:
    """Raise PlanError for a delta that allows to give a unit away; `examples`: how many units each has."""
    least = min(examples.values())
    if settings.delta * least >= 1:
        message = (
            f"privacy.delta is {settings.delta:g} among {least} {settings.unit}s: one of them could be given away "
            f"whole; write less than {1 / least:.2g}, better a hundredth of it"
        )
        raise PlanError(message)


def spent_before(base: Path, unit: str = "example") -> dict[str, tuple[Spending, ...]]:
    """What training the base has spent on each organization, or on each of its examples, by the run that made it.

    `base`: the folder of its weights. Nothing where no run is beside them. What protects an organization protects its
    examples. Raises PlanError for a run without privacy, of which nobody can tell what its weights hold, and for
    one of examples where organizations are to be protected.
    """
    path = base.parent / "run.json"
    if not path.is_file():
        return {}
    told = json.loads(path.read_text(encoding="utf-8"))
    privacy = told.get("privacy")
    if privacy is None:
        message = (
            f"the base was trained in the run {told.get('name')!r} without [privacy], which no later noise "
            "makes up for: name the base of that run, or leave [privacy] out"
        )
        raise PlanError(message)
    if unit == "organization" and privacy.get("unit") != unit:
        message = (
            f"the base was trained in the run {told.get('name')!r} with privacy of single examples, which bounds "
            'nothing for an organization: name the base of that run, or write unit = "example"'
        )
        raise PlanError(message)
    try:
        return {org: tuple(Spending(**one) for one in its["spent"]) for org, its in privacy["by_org"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        message = f"{path} does not tell what privacy it spent ({error}): name another base"
        raise PlanError(message) from error


class Ledger:
    """Counts the steps of one stage before they are made, and allows no more than the budget has.

    A file, so that a training that is interrupted goes on with what is left: steps behind the last checkpoint are made
    twice and counted twice.
    """

    def __init__(self, folder: Path, budget: Spending) -> None:
        """Raises StoppedError for a ledger that was begun for another budget."""
        self._path, self.budget = folder / LEDGER, budget
        self.steps = 0
        if self._path.is_file():
            written = json.loads(self._path.read_text(encoding="utf-8"))
            self.steps = int(written.pop("spent"))
            if written != asdict(budget):
                message = f"{self._path} was begun for another budget: begin anew with --out"
                raise StoppedError(message)

    @property
    def left(self) -> int:
        """Steps that the budget still has."""
        return self.budget.steps - self.steps

    def spend(self) -> None:
        """Write a step down; its gradient may be used from then on. Raises StoppedError where none is left."""
        if self.left <= 0:
            message = f"the privacy budget is spent: {self.steps} steps of {self.budget.steps} were made"
            raise StoppedError(message)
        self.steps += 1
        draft = self._path.with_name(f".{LEDGER}")
        draft.write_text(json.dumps({**asdict(self.budget), "spent": self.steps}), encoding="utf-8")
        draft.replace(self._path)


@dataclass(frozen=True, slots=True)
class Account:
    """What one stage may spend, and whose examples it reads."""

    organizations: tuple[str, ...]
    budget: Spending


def record(
    settings: PrivacyPlan,
    before: Mapping[str, tuple[Spending, ...]],
    accounts: Sequence[tuple[Account, int]],
) -> dict[str, Any]:
    """The privacy of a run as run.json keeps it; with each account, the steps that were made.

    Epsilon is that of all steps of the budget, even where training ended sooner: when it ended depends on the weights.
    At the top stands the organization with the greatest epsilon.
    """
    by_org: dict[str, dict[str, Any]] = {}
    for org, spent in before.items():
        by_org[org] = {"epsilon": epsilon_of(spent, settings.delta), "spent": [asdict(one) for one in spent]}
    for account, steps in accounts:
        for org in account.organizations:
            spent = (*before.get(org, ()), account.budget)
            by_org[org] = {
                "epsilon": epsilon_of(spent, settings.delta),
                "steps": steps,
                "spent": [asdict(one) for one in spent],
            }
    worst = max(by_org.values(), key=lambda one: float(one["epsilon"]))
    last = worst["spent"][-1]
    return {
        "unit": settings.unit,
        "epsilon": worst["epsilon"],
        "delta": settings.delta,
        "clip": settings.clip,
        "noise_multiplier": last["noise_multiplier"],
        "sample_rate": last["sample_rate"],
        "steps": worst.get("steps", last["steps"]),
        "by_org": by_org,
    }
