"""The federation in one process: the server's and the nodes' own apps, with only the carrier of messages exchanged."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("flwr")
pytest.importorskip("peft")
import torch
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from training.base import open_base
from training.corpora import CorpusPlan, build
from training.errors import FederationError, PlanError
from training.examples import Split
from training.federated import federate
from training.grid import LocalGrid
from training.messages import ARRAYS, IDENTITY, IDENTITY_FIELDS, METRICS, UPDATE_METRICS
from training.node import client_app
from training.plan import (
    Budget,
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
from training.standing import STATE, Outcome
from training.strategies import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

MARKER = "zanzibar_marker_7f3a"
TERMS = Terms(minimum=2, wait=0.0, timeout=60.0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def held_out(tree: Path, out: Path) -> None:
    """Build a corpus with a seed that leaves something to hold out of so few files."""
    for seed in range(50):
        if build(CorpusPlan((tree,), out, seed)).splits[Split.VALIDATION].kinds.total():
            return


@pytest.fixture(scope="session")
def orgs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Five small corpora; in every file stands a marker."""
    root, folders = tmp_path_factory.mktemp("federation"), {}
    for org in range(5):
        tree = root / "trees" / f"org-{org}"
        tree.mkdir(parents=True)
        for at in range(20):
            text = "\n".join(
                f"def f{org}_{at}_{line}(x{line}, y):\n    return x{line} * {org + at * line} + y  # {MARKER}"
                for line in range(6)
            )
            (tree / f"m{at}.py").write_text(text, encoding="utf-8")
        held_out(tree, root / f"org-{org}")
        folders[f"org-{org}"] = root / f"org-{org}"
    return folders


@pytest.fixture
def plan(tiny_base: Path, orgs: dict[str, Path]) -> Callable[..., Plan]:
    """A plan of the first `count` organizations."""

    def make(count: int = 3, strategy: str = "fedavg", method: str = "lora", rounds: int = 1, **options: Any) -> Plan:  # noqa: ANN401
        return Plan(
            name="trial",
            model=ModelPlan(base=str(tiny_base), method=Method(method), rank=2, alpha=4),
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

    return make


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


def test_a_strong_proximal_term_holds_nodes_near_what_they_were_sent(plan: Callable[..., Plan]) -> None:
    assert length(run(plan(strategy="fedprox", proximal_mu=100.0))) < length(run(plan()))


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


def test_a_node_that_fails_is_left_out_and_its_error_tells_nothing(plan: Callable[..., Plan]) -> None:
    one = plan(3)
    broken = nodes(one)
    broken[3][1]["corpus"] = broken[3][1]["corpus"] + "/nowhere"
    outcome = federate(LocalGrid(broken), one, open_base(one.model.base), TERMS)
    assert [(refusal.node, refusal.reason.split("<'")[1]) for refusal in outcome.refusals] == [
        (3, "the node's corpus has no manifest: build it with `cleanroom corpus build`'>")
    ]
    assert difference(outcome, run(plan(2))) == 0


def test_an_error_of_training_does_not_carry_its_text_out(
    plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError(MARKER)

    monkeypatch.setattr("training.node.train_locally", fail)
    with pytest.raises(FederationError) as raised:
        run(plan(2))
    assert MARKER not in str(raised.value)
    assert "the node's own log says why" in str(raised.value)
    assert MARKER in caplog.text


def test_a_node_with_another_base_refuses_before_it_trains(plan: Callable[..., Plan], plain_base: Path) -> None:
    one = plan(3)
    others = nodes(one)
    others[1][1]["base"] = str(plain_base)
    outcome = federate(LocalGrid(others), one, open_base(one.model.base), TERMS)
    assert [refusal.node for refusal in outcome.refusals] == [1]
    assert "another base or tokenizer" in outcome.refusals[0].reason
    assert str(plain_base) not in outcome.refusals[0].reason


class Changing(LocalGrid):
    """A grid whose nodes come and go: `present` says who is there when asked for the nth time."""

    def __init__(self, all_nodes: dict[int, Any], present: Callable[[int], list[int]]) -> None:
        super().__init__(all_nodes)
        self._present, self._asked = present, 0

    def get_node_ids(self) -> list[int]:
        self._asked += 1
        return self._present(self._asked)


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


def test_what_leaves_a_node_is_this_and_nothing_else(plan: Callable[..., Plan], orgs: dict[str, Path]) -> None:
    seen: list[Message] = []
    one = plan()
    federate(LocalGrid(nodes(one), seen.append), one, open_base(one.model.base), TERMS)
    answers = [message for message in seen if message.metadata.dst_node_id == 0]
    updates = [message.content for message in answers if message.metadata.message_type == "train"]
    evaluations = [message.content for message in answers if message.metadata.message_type == "evaluate"]
    assert (len(updates), len(evaluations)) == (3, 3)
    for content in updates:
        assert list(content) == [ARRAYS, METRICS, IDENTITY]
        assert {array.dtype for array in content[ARRAYS].values()} == {"float32"}
        assert all(
            name.startswith("model.layers.") and name.endswith(("_proj|up", "_proj|down")) for name in content[ARRAYS]
        )
        assert tuple(sorted(content[METRICS])) == tuple(sorted(UPDATE_METRICS))
    for content in evaluations:
        assert list(content) == [METRICS, IDENTITY]
        assert sorted(content[METRICS]) == ["num-examples", "validation-loss", "validation-tokens"]
    for content in updates + evaluations:
        assert tuple(sorted(content[IDENTITY])) == tuple(sorted(IDENTITY_FIELDS))
        assert all(isinstance(value, int | float) for value in content[METRICS].values())
        assert all(str(folder) not in str(dict(content[IDENTITY])) for folder in orgs.values())


def test_orders_name_no_path_of_the_server(plan: Callable[..., Plan]) -> None:
    seen: list[Message] = []
    one = plan()
    federate(LocalGrid(nodes(one), seen.append), one, open_base(one.model.base), TERMS)
    orders = [message.content for message in seen if message.metadata.dst_node_id != 0]
    for content in orders:
        assert set(content) == {ARRAYS, "config"}
        assert one.model.base not in json.dumps(dict(content["config"]))
        assert str(one.organizations[0].corpus) not in json.dumps(dict(content["config"]))


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
    import dataclasses  # noqa: PLC0415

    one = dataclasses.replace(plan(2, rounds=4), budget=Budget(validation_loss=1000.0))
    outcome = run(one)
    assert [entry["round"] for entry in outcome.rounds] == [1]
