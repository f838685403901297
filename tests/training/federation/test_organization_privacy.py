"""The privacy of whole organizations: clipped, noised at the server, counted, and told to be loud."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("flwr")
pytest.importorskip("peft")
pytest.importorskip("dp_accounting", reason="needs dp-accounting")
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from samples.federations import TERMS, altered, nodes, run, scaled

from training.base import open_base
from training.errors import FederationError, PlanError
from training.federated import federate, serve, spent_in
from training.grid import LocalGrid
from training.messages import ARRAYS, METRICS
from training.organization_privacy import OrganizationNoise, organization_noise
from training.plan import Federated, PrivacyPlan
from training.privacy import Spending, epsilon_of
from training.shared import dense, from_record
from training.strategies import flower_strategy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.plan import Plan
    from training.standing import Outcome

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PRIVACY = PrivacyPlan(unit="organization", epsilon=8.0, delta=1e-2, clip=0.05)


@pytest.fixture
def private(plan: Callable[..., Plan]) -> Plan:
    return dataclasses.replace(plan(3), privacy=PRIVACY)


def flat(matrices: dict) -> np.ndarray:  # type: ignore[type-arg]
    return np.concatenate([dense(matrices[name]).ravel() for name in sorted(matrices)]).astype(float)


def trained(plan: Plan, seen: list[Message]) -> Outcome:
    return federate(LocalGrid(nodes(plan), seen.append), plan, open_base(plan.model.base), TERMS)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_is_shared_is_the_mean_of_clipped_updates_and_noise(plan: Callable[..., Plan], method: str) -> None:
    private = dataclasses.replace(plan(3, method=method), privacy=PRIVACY)
    seen: list[Message] = []
    outcome = trained(private, seen)
    sent = from_record(next(one.content[ARRAYS] for one in seen if "config" in one.content))
    updates = [from_record(one.content[ARRAYS]) for one in seen if {ARRAYS, METRICS} <= set(one.content)]
    assert len(updates) == 3
    start = flat(sent)
    # Factors are updates, weights are not.
    added = [flat(update) - (start if method == "full" else 0) for update in updates]
    assert all(np.linalg.norm(one) > PRIVACY.clip for one in added), "the clip binds"
    mean = sum(one * PRIVACY.clip / np.linalg.norm(one) for one in added) / 3
    noise = flat(outcome.matrices) - start - mean
    expected = organization_noise(private, 1, open_base(private.model.base).folder)
    assert expected is not None
    deviation = expected.budget.noise_multiplier * PRIVACY.clip / 3
    # Of more than ten thousand draws, which put it within a percent.
    assert float(noise.std()) == pytest.approx(deviation, rel=0.05)
    assert abs(float(noise.mean())) < 5 * deviation / np.sqrt(len(noise))


def joined(noise: OrganizationNoise) -> np.ndarray:
    update = ArrayRecord({"matrix": Array(np.full((8, 8), 0.1, np.float32))})
    metrics = MetricRecord({"num-examples": 3.0})
    messages = [
        Message(content=RecordDict({ARRAYS: update, METRICS: metrics}), dst_node_id=node, message_type="train")
        for node in (1, 2)
    ]
    record, _ = noise.joined(flower_strategy(Federated(kind="federated"), 2), 1, messages)
    assert record is not None
    return record["matrix"].numpy()


def test_the_noise_is_not_that_of_the_seed() -> None:
    noise = OrganizationNoise(Spending(1.0, 1.0, 1), 0.05)
    drawn = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002 - as `cleanroom train` does
        drawn.append(joined(noise))
        following = np.random.random()  # noqa: NPY002
        np.random.seed(0)  # noqa: NPY002
        assert following == np.random.random(), "the generator goes on as if nothing was drawn"  # noqa: NPY002
    assert (drawn[0] != drawn[1]).all()


def test_every_round_is_counted_and_the_noise_is_told_to_be_loud(
    private: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "plan.toml"
    organizations = "".join(
        f'[[organizations]]\nname = "{one.name}"\ncorpus = "{one.corpus}"\n' for one in private.organizations
    )
    path.write_text(
        f'name = "private"\n[model]\nbase = "{private.model.base}"\nmethod = "full"\n[regime]\nkind = "federated"\n'
        "rounds = 2\nlocal_passes = 0.25\n[optimizer]\nlearning_rate = 1e-2\nblock = 64\n"
        f'[privacy]\nunit = "organization"\nepsilon = 8.0\ndelta = 1e-2\n{organizations}',
        encoding="utf-8",
    )
    serve(LocalGrid(nodes(private)), path, tmp_path / "run", TERMS)
    assert "times as long as the mean of 3 clipped updates can be" in caplog.text
    told = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))["privacy"]
    assert told["unit"] == "organization"
    assert 7.9 < told["epsilon"] <= 8.0
    assert {name: one["steps"] for name, one in told["by_org"].items()} == {"org-0": 2, "org-1": 2, "org-2": 2}
    # A later run pays for it; what protects examples counts for nothing here.
    base = tmp_path / "run" / "model"
    less = dataclasses.replace(private, privacy=dataclasses.replace(PRIVACY, epsilon=7.0))
    with pytest.raises(PlanError, match="nothing is left to train with"):
        organization_noise(less, 2, base)
    more = dataclasses.replace(private, privacy=dataclasses.replace(PRIVACY, epsilon=12.0))
    noise = organization_noise(more, 2, base)
    assert noise is not None
    assert noise.budget.noise_multiplier > told["noise_multiplier"]
    record = tmp_path / "run" / "run.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"organization"', '"example"'), encoding="utf-8")
    with pytest.raises(PlanError, match="bounds nothing for an organization"):
        organization_noise(more, 2, base)


def test_the_accounts_are_those_of_the_gaussian_mechanism_on_all(private: Plan) -> None:
    accounts = spent_in(run(private))
    assert [account.organizations for account, _ in accounts] == [("org-0",), ("org-1",), ("org-2",)]
    for account, rounds in accounts:
        assert rounds == account.budget.steps == 1
        assert account.budget.sample_rate == 1.0
        assert epsilon_of((account.budget,), PRIVACY.delta) <= PRIVACY.epsilon


def test_no_update_decides_about_another(private: Plan) -> None:
    """A screen that compares would; the clip bounds what is long."""

    def claim(content: RecordDict) -> None:
        scaled(1000.0)(content)
        content[METRICS]["num-examples"] = 1e9

    outcome = run(private, org_2=altered(claim))
    assert outcome.refusals == []
    deviation = outcome.organizations["org-2"]["spent"]["noise-multiplier"] * PRIVACY.clip / 3
    assert float(np.abs(flat(outcome.matrices)).max()) < PRIVACY.clip + 8 * deviation


def test_an_update_of_nothing_is_refused(private: Plan) -> None:
    outcome = run(private, org_1=altered(scaled(0.0)))
    assert [(one.node, one.reason) for one in outcome.refusals] == [(2, "it changes nothing")]


def test_a_node_that_asks_for_private_examples_takes_no_part(private: Plan) -> None:
    there = nodes(private)
    for _, config in there.values():
        config["epsilon"] = "8"
    with pytest.raises(FederationError, match="it trains with privacy alone"):
        federate(LocalGrid(there), private, open_base(private.model.base), TERMS)
