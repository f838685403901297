"""Strategies that withstand what the screen lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("flwr")
pytest.importorskip("peft")
from samples.federations import altered, difference, run, scaled

from training.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.plan import Plan

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("strategy", "options"), [("krum", {"num_malicious_nodes": 1}), ("trimmed-mean", {"beta": 0.2})]
)
def test_robust_strategies_withstand_a_turned_update_that_the_screen_lets_pass(
    plan: Callable[..., Plan], strategy: str, options: dict[str, Any]
) -> None:
    turned = altered(scaled(-5.0))
    honest = run(plan(5))
    robust = run(plan(5, strategy=strategy, **options), org_4=turned)
    mean = run(plan(5), org_4=turned)
    assert not robust.refusals
    assert not mean.refusals
    assert difference(robust, honest) < difference(mean, honest)
    assert robust.validation_loss < mean.validation_loss  # type: ignore[operator]


def test_robust_strategies_that_would_withstand_nobody_are_refused(plan: Callable[..., Plan]) -> None:
    with pytest.raises(PlanError, match=r"trims none of 3 nodes: raise beta to 0\.34"):
        run(plan(3, strategy="trimmed-mean"))
    with pytest.raises(PlanError, match="krum withstands 1 of at least 5 nodes, and there are 3"):
        run(plan(3, strategy="krum"))
