"""Epsilon is spent as the ledger says, never more, and what is trained under it is really trained."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="needs the extra training")
pytest.importorskip("dp_accounting", reason="needs dp-accounting")

import json
import math
from typing import TYPE_CHECKING, Any

import torch

from training.base import open_base, trainable
from training.blocks import Blocks, apart
from training.data import open_corpus, training_examples
from training.errors import PlanError, StoppedError
from training.local import Fingerprint, arguments_for
from training.noisy import NoisyTrainer, losses_of, train_noisily
from training.plan import DataPlan, Method, ModelPlan, OptimizerPlan, PrivacyPlan
from training.privacy import Ledger, Spending, affordable, epsilon_of
from training.run import run_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.log import At

pytestmark = pytest.mark.training

PRIVACY = {"unit": "example", "epsilon": 8.0, "delta": 1e-4}
SETTINGS = OptimizerPlan(learning_rate=1e-2, block=32, batch=4, micro_batch=2, schedule="constant")


@pytest.fixture
def blocks(tiny_base: Path, corpora: dict[str, Path]) -> Blocks:
    examples = training_examples([open_corpus("org-a", corpora["org-a"])], DataPlan(), 0)
    return apart(examples[:12], open_base(str(tiny_base)).vocabulary, 32)


def model_of(base: Path, method: Method) -> Any:  # noqa: ANN401 - a model of transformers or peft
    return trainable(open_base(str(base)), ModelPlan(base=str(base), method=method, rank=2), 0)


def told(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "run.json").read_text(encoding="utf-8")))


def noisily(model: Any, blocks: Blocks, folder: Path, budget: Spending, clip: float = 1.0) -> int:  # noqa: ANN401
    folder.mkdir(exist_ok=True)
    arguments = arguments_for(model, SETTINGS, blocks, folder, passes=1, seed=0, save_strategy="no")
    return train_noisily(model, arguments, blocks, None, ledger=Ledger(folder, budget), clip=clip)


@pytest.mark.parametrize("method", list(Method))
def test_the_gradients_that_are_clipped_are_those_of_single_examples(
    tiny_base: Path, blocks: Blocks, tmp_path: Path, method: Method
) -> None:
    model = model_of(tiny_base, method)
    arguments = arguments_for(model, SETTINGS, blocks, tmp_path, passes=1, seed=0)
    trainer = NoisyTrainer(
        ledger=Ledger(tmp_path, Spending(1.0, 1 / 6, 1)), clip=1e9, rows=4, model=model, args=arguments,
        train_dataset=blocks,
    )  # fmt: skip
    trainer.create_optimizer()
    rows = {name: getattr(blocks, name)[:4] for name in ("input_ids", "labels", "position_ids")}
    trainer.training_step(model, rows)
    moving = [one for one in model.parameters() if one.requires_grad]
    found = [one.grad_sample.clone() for one in moving]
    trainer.release()
    for at in range(4):
        model.zero_grad()
        losses_of(model, {name: values[at : at + 1] for name, values in rows.items()}).sum().backward()
        for sample, one in zip(found, moving, strict=True):
            assert torch.allclose(sample[at], one.grad, atol=1e-5)


@pytest.mark.parametrize("method", list(Method))
def test_weights_move_and_the_steps_are_those_of_the_budget(
    tiny_base: Path, blocks: Blocks, tmp_path: Path, method: Method
) -> None:
    model = model_of(tiny_base, method)
    before = Fingerprint(model)
    assert noisily(model, blocks, tmp_path / "run", Spending(1.0, 1 / 3, 7)) == 7
    before.require_moved(model)
    assert Ledger(tmp_path / "run", Spending(1.0, 1 / 3, 7)).left == 0


def test_another_chance_than_the_budget_was_made_for_is_refused(
    tiny_base: Path, blocks: Blocks, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError, match="not as the privacy budget was made for"):
        noisily(model_of(tiny_base, Method.LORA), blocks, tmp_path / "run", Spending(1.0, 1 / 4, 7))


def test_a_batch_that_chance_leaves_empty_is_noise_alone(tiny_base: Path, blocks: Blocks, tmp_path: Path) -> None:
    model = model_of(tiny_base, Method.LORA)
    arguments = arguments_for(model, SETTINGS, blocks, tmp_path, passes=1, seed=0)
    trainer = NoisyTrainer(
        ledger=Ledger(tmp_path, Spending(0.0, 1 / 6, 1)), clip=1.0, rows=2, model=model, args=arguments,
        train_dataset=blocks,
    )  # fmt: skip
    optimizer = trainer.create_optimizer()
    empty = trainer.get_train_dataloader().collate_fn([])
    assert empty["input_ids"].shape == (0, 32)
    trainer.training_step(model, empty)
    assert optimizer.pre_step()
    assert all(not one.grad.any() for one in optimizer.params)
    trainer.release()


def test_no_example_moves_the_sum_by_more_than_the_clip(tiny_base: Path, blocks: Blocks, tmp_path: Path) -> None:
    sums = []
    for count in (5, 6):
        model = model_of(tiny_base, Method.FULL)
        folder = tmp_path / str(count)
        folder.mkdir()
        arguments = arguments_for(model, SETTINGS, blocks, folder, passes=1, seed=0)
        trainer = NoisyTrainer(
            ledger=Ledger(folder, Spending(0.0, 1 / 6, 1)), clip=0.01, rows=2, model=model, args=arguments,
            train_dataset=blocks,
        )  # fmt: skip
        optimizer = trainer.create_optimizer()
        rows = {name: getattr(blocks, name)[:count] for name in ("input_ids", "labels", "position_ids")}
        trainer.training_step(model, rows)
        optimizer.clip_and_accumulate()
        sums.append(torch.cat([one.summed_grad.flatten() for one in optimizer.params]))
        trainer.release()
    assert 0.005 < float((sums[1] - sums[0]).norm()) <= 0.01 * (1 + 1e-4)


def test_the_ledger_stops_exactly_at_the_budget_and_remembers(tmp_path: Path) -> None:
    budget = Spending(1.0, 0.1, 3)
    Ledger(tmp_path, budget).spend()
    ledger = Ledger(tmp_path, budget)
    assert ledger.left == 2
    ledger.spend()
    ledger.spend()
    with pytest.raises(StoppedError, match="budget is spent: 3 steps of 3"):
        ledger.spend()
    with pytest.raises(StoppedError, match="begun for another budget"):
        Ledger(tmp_path, Spending(0.5, 0.1, 3))


@pytest.mark.parametrize(("rate", "steps", "epsilon"), [(0.5, 8, 8.0), (0.1, 30, 1.0)])
def test_the_noise_is_the_least_that_keeps_within_epsilon(rate: float, steps: int, epsilon: float) -> None:
    plan = PrivacyPlan(unit="example", epsilon=epsilon, delta=1e-5)
    spending = affordable((), rate, steps, plan)
    assert epsilon_of((spending,), 1e-5) <= epsilon
    quieter = Spending(spending.noise_multiplier * 0.98, rate, steps)
    assert epsilon_of((quieter,), 1e-5) > epsilon


def test_the_accountant_agrees_with_the_gaussian_mechanism() -> None:
    # One step on everything: delta of the Gaussian mechanism in closed form (Balle & Wang 2018, theorem 8).
    epsilon = epsilon_of((Spending(1.0, 1.0, 1),), 1e-5)
    normal = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))  # noqa: E731 - a formula
    delta = normal(0.5 - epsilon) - math.exp(epsilon) * normal(-0.5 - epsilon)
    assert delta == pytest.approx(1e-5, rel=0.02)


def test_compartments_spend_each_their_own(plan: Callable[..., Path]) -> None:
    run = run_plan(plan(model={"method": "lora"}, regime={"kind": "compartmentalized"}, privacy=PRIVACY))
    privacy = told(run)["privacy"]
    assert (privacy["unit"], privacy["delta"]) == ("example", 1e-4)
    assert set(privacy["by_org"]) == {"org-a", "org-b"}
    assert 7.9 < privacy["epsilon"] <= 8.0
    for one in privacy["by_org"].values():
        spent = tuple(Spending(**each) for each in one["spent"])
        assert one["epsilon"] == epsilon_of(spent, 1e-4) <= 8.0
        assert one["steps"] == spent[-1].steps


def test_a_training_that_goes_on_pays_for_what_went_before(plan: Callable[..., Path]) -> None:
    changes = {"orgs": ("org-a",), "privacy": PRIVACY}
    first = run_plan(plan("first", **changes))
    with pytest.raises(PlanError, match=r"privacy.epsilon is 4, of which \d.* was spent when the base was trained"):
        run_plan(plan("less", **{**changes, "privacy": {**PRIVACY, "epsilon": 4.0}}, model={"base": str(first)}))
    second = told(
        run_plan(plan("second", **{**changes, "privacy": {**PRIVACY, "epsilon": 12}}, model={"base": str(first)}))
    )
    assert 11.9 < second["privacy"]["epsilon"] <= 12.0
    assert len(second["privacy"]["by_org"]["org-a"]["spent"]) == 2


def test_a_budget_of_next_to_nothing_and_a_base_trained_without_privacy_are_refused(plan: Callable[..., Path]) -> None:
    first = run_plan(plan("first", orgs=("org-a",)))
    with pytest.raises(PlanError, match="leaves no room for"):
        run_plan(plan("none", orgs=("org-a",), privacy={**PRIVACY, "epsilon": 1e-3}))
    with pytest.raises(PlanError, match="'first' without"):
        run_plan(plan("second", orgs=("org-a",), privacy=PRIVACY, model={"base": str(first)}))


def test_steps_that_an_interruption_lost_stay_spent(plan: Callable[..., Path]) -> None:
    file = plan(orgs=("org-a",), privacy=PRIVACY, budget={"passes": 2}, checkpoints={"every": 3})

    def stop(at: At) -> None:
        if at.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(file, report=stop)
    run = told(run_plan(file, resume=True))
    spent = run["privacy"]["by_org"]["org-a"]
    assert spent["steps"] == spent["spent"][0]["steps"]
    assert run["stages"][0]["steps"] == spent["steps"] - 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"privacy": {**PRIVACY, "unit": "organization"}}, 'write kind = "federated"'),
        (
            {"privacy": {**PRIVACY, "unit": "organization"}, "regime": {"kind": "federated", "strategy": "fedyogi"}},
            'strategy = "fedavg"',
        ),
        (
            {
                "privacy": {**PRIVACY, "unit": "organization"},
                "regime": {"kind": "federated"},
                "budget": {"passes": 5, "validation_loss": 3.0},
            },
            "what organizations tell without noise",
        ),
        (
            {
                "privacy": {**PRIVACY, "unit": "organization", "delta": 0.5},
                "regime": {"kind": "federated"},
                "budget": {"passes": 5},
            },
            "among 2 organizations: one of them could be given away",
        ),
        ({"privacy": PRIVACY, "regime": {"kind": "federated", "strategy": "fedprox"}}, "choose another strategy"),
        ({"privacy": PRIVACY, "regime": {"kind": "incremental", "order": "size"}}, "name the order"),
        ({"privacy": PRIVACY}, "data.deduplicate is true"),
        ({"privacy": PRIVACY, "orgs": ("org-a",), "monitor": {"stop_above": 0.1}}, "without noise"),
        ({"privacy": PRIVACY, "regime": {"kind": "federated"}, "monitor": {"tokens": 8}}, "out of a federation"),
        ({"privacy": PRIVACY, "orgs": ("org-a",), "data.repeat": {'"a.py"': 2}}, "each at its price"),
        ({"privacy": PRIVACY, "orgs": ("org-a",), "data": {"row_starts": "random"}}, "an example from its beginning"),
        ({"privacy": {**PRIVACY, "delta": 0.1}, "orgs": ("org-a",)}, "given away whole"),
    ],
)
def test_what_would_not_be_private_is_refused(plan: Callable[..., Path], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        run_plan(plan(**changes))


def test_everybody_together_and_one_after_the_other(plan: Callable[..., Path]) -> None:
    for name, regime in (
        ("all", {"kind": "centralized"}),
        ("turns", {"kind": "incremental", "order": ["org-b", "org-a"]}),
    ):
        run = told(run_plan(plan(name, regime=regime, privacy=PRIVACY, data={"deduplicate": False})))
        by_org = run["privacy"]["by_org"]
        assert set(by_org) == {"org-a", "org-b"}
        assert all(7.9 < one["epsilon"] <= 8.0 for one in by_org.values())


def test_a_federation_in_one_process_keeps_an_account_of_each_organization(plan: Callable[..., Path]) -> None:
    regime = {"kind": "federated", "rounds": 2, "local_passes": 0.25}
    run = told(run_plan(plan("fed", regime=regime, privacy=PRIVACY)))
    assert set(run["privacy"]["by_org"]) == {"org-a", "org-b"}
    for one in run["privacy"]["by_org"].values():
        assert 7.5 < one["epsilon"] <= 8.0
        assert one["steps"] == one["spent"][0]["steps"]
