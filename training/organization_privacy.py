"""Differential privacy of whole organizations, kept by the server of a federation. Knows updates, and no example.

Flower's wrapper clips each update and adds noise to their mean (McMahan et al. 2018, arXiv 1710.06963). Here stand what
it must be given for its bound to hold: equal weights, noise that nobody can draw again, and as much of it as all rounds
together need. The server sees updates before they are noised, so it has to be trusted with them.
"""

from __future__ import annotations

import logging
import math
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping

from training.messages import ARRAYS, EXAMPLES, METRICS, PRIVACY_METRICS
from training.privacy import affordable, require_delta, spent_before

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from flwr.app import Message
    from flwr.serverapp.strategy import FedAvg

    from training.plan import Plan
    from training.privacy import Spending

_LOG = logging.getLogger(__name__)
_WORDS = 624
"""Of 32 bits each, the state of the generator that Flower draws noise from."""


@dataclass(frozen=True, slots=True)
class OrganizationNoise:
    """`budget`: of all rounds, each of which reads every organization. `clip`: the greatest norm of one's update."""

    budget: Spending
    clip: float

    def joined(
        self, inner: FedAvg, number: int, messages: Sequence[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The mean of the clipped updates in `messages`, each as much as another, and noise.

        How many examples an organization has is its secret, too, so that none weighs more for it.
        """
        for message in messages:
            metrics = message.content.metric_records[METRICS]
            message.content[METRICS] = MetricRecord({**metrics, EXAMPLES: 1.0})
        wrapped = DifferentialPrivacyServerSideFixedClipping(
            inner, self.budget.noise_multiplier, self.clip, len(messages)
        )
        # Messages hold what updates add, so that there is nothing to subtract.
        wrapped.current_arrays = ArrayRecord(
            {
                name: Array(np.zeros(array.shape, np.float32))
                for name, array in messages[0].content.array_records[ARRAYS].items()
            }
        )
        with _unforeseen():
            return wrapped.aggregate_train(number, messages)

    def spent(self, rounds: int) -> dict[str, float]:
        """What an organization spent in so many rounds, as nodes tell it that keep a ledger of their own."""
        budget = self.budget
        numbers = (budget.noise_multiplier, budget.sample_rate, budget.steps, rounds)
        return dict(zip(PRIVACY_METRICS, numbers, strict=True))

    def warn(self, shared: Mapping[str, Array], organizations: int) -> None:
        """Tell how loud the noise is beside all that so many updates can say."""
        numbers = sum(math.prod(array.shape) for array in shared.values())
        times = self.budget.noise_multiplier * math.sqrt(numbers) / organizations
        _LOG.warning(
            "privacy.unit is 'organization': each round's noise is about %.3g times as long as the mean of %d clipped "
            "updates can be (multiplier %.3g, %d numbers). With a handful of organizations little is learnt: "
            'unit = "example" protects single files',
            times,
            organizations,
            self.budget.noise_multiplier,
            numbers,
        )


def organization_noise(plan: Plan, rounds: int, base: Path) -> OrganizationNoise | None:
    """The least noise that keeps a plan's privacy of organizations over `rounds`; None for a plan without.

    `base`: the folder of the base's weights. Raises PlanError where no noise would do, or delta gives one away.
    """
    settings = plan.organization_privacy
    if settings is None:
        return None
    require_delta(settings, {"the consortium": len(plan.names)})
    before = spent_before(base, settings.unit)
    budgets = [affordable(before.get(name, ()), 1.0, rounds, settings) for name in plan.names]
    return OrganizationNoise(max(budgets, key=lambda one: one.noise_multiplier), settings.clip)


@contextmanager
def _unforeseen() -> Iterator[None]:
    """Let NumPy's own generator, which Flower draws from, begin where nobody knows, and put it back afterwards.

    The plan's seed sets it, and whoever knows that could take the noise away again.
    """
    before = np.random.get_state()  # noqa: NPY002 - the generator that Flower uses
    np.random.seed([secrets.randbits(32) for _ in range(_WORDS)])  # noqa: NPY002 - as above
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002 - as above
