"""Memorization, watched at the nodes: numbers alone leave, and the run can end by them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("flwr")
pytest.importorskip("peft")
from samples.federations import TERMS, altered, difference, nodes, run

from training.base import open_base
from training.blocks import blocks_of
from training.data import open_corpus, training_examples
from training.errors import FederationError
from training.federated import federate
from training.grid import LocalGrid
from training.messages import METRICS, RECITED, UPDATE_METRICS, WATCHED_METRICS
from training.monitor import recited, sample
from training.plan import MonitorPlan
from training.run import run_plan
from training.shared import model_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flwr.app import Message, RecordDict

    from training.plan import Plan

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
MONITOR = MonitorPlan(prefixes=32, tokens=2)


@pytest.fixture
def watched(plan: Callable[..., Plan]) -> Plan:
    return dataclasses.replace(plan(2, method="full", rounds=6), monitor=MONITOR)


def test_what_a_node_tells_is_what_the_shared_model_recites_of_its_rows(watched: Plan) -> None:
    seen: list[Message] = []
    one, base = watched, open_base(watched.model.base)
    outcome = federate(LocalGrid(nodes(one), seen.append), one, base, TERMS)
    model = model_of(outcome.matrices, base, one.model)
    for org in one.organizations:
        examples = training_examples([open_corpus(org.name, org.corpus)], one.data, one.seed)
        rows = blocks_of(examples, base.vocabulary, one.optimizer.block)
        share = recited(model, sample(rows, MONITOR.prefixes, MONITOR.tokens, one.seed))
        assert outcome.recited[org.name] == share
    assert max(outcome.recited.values()) > 0
    assert outcome.stopped is None
    updates = [one.content[METRICS] for one in seen if "recited-trained" in one.content.get(METRICS, ())]
    assert len(updates) == 12
    for metrics in updates:
        assert set(metrics) == {*UPDATE_METRICS, *WATCHED_METRICS}
        assert all(isinstance(value, int | float) for value in metrics.values())
    # What nodes receive in one round is the aggregate of the round before, and no node's own.
    assert outcome.rounds[-1]["recited_before"] != outcome.rounds[-1]["recited_trained"]


def test_a_run_ends_once_one_organizations_code_is_recited_more_than_the_plan_allows(watched: Plan) -> None:
    bounded = dataclasses.replace(watched, monitor=dataclasses.replace(MONITOR, stop_above=0.0))
    outcome = run(bounded)
    assert outcome.stopped == "memorization"
    assert len(outcome.rounds) < 6
    assert max(outcome.recited.values()) > 0
    assert all(max(entry["recited_before"].values()) == 0 for entry in outcome.rounds[1:])
    # It ends with what was found to recite, as a training in one place does: the gate decides what is released.
    regime = dataclasses.replace(watched.regime, rounds=len(outcome.rounds))  # type: ignore[arg-type]
    assert difference(outcome, run(dataclasses.replace(watched, regime=regime, monitor=None))) == 0


@pytest.mark.parametrize("share", [1.5, float("nan"), -0.1, None])
def test_a_share_that_is_none_is_refused_with_its_update(watched: Plan, share: float | None) -> None:
    def claim(content: RecordDict) -> None:
        if share is None:
            del content[METRICS][RECITED]
        else:
            content[METRICS][RECITED] = share

    with pytest.raises(FederationError, match=r"round 1 has 1 updates.*node 2: it"):
        run(watched, org_1=altered(claim))


def test_files_too_short_to_be_watched_are_named_before_training(watched: Plan) -> None:
    long = dataclasses.replace(watched, monitor=MonitorPlan(tokens=64))
    with pytest.raises(FederationError, match=r"none of its files fills 128 tokens of a row: lower monitor\.tokens"):
        run(long)


def test_an_interrupted_run_has_each_round_in_its_log_once(watched: Plan, tmp_path: Path) -> None:
    class Cut(Exception):  # noqa: N818
        pass

    def cut(entry: dict[str, Any]) -> None:
        if entry["round"] == 2:
            raise Cut

    base = open_base(watched.model.base)
    with pytest.raises(Cut):
        federate(LocalGrid(nodes(watched)), watched, base, TERMS, tmp_path / "checkpoints", cut)
    federate(LocalGrid(nodes(watched)), watched, base, TERMS, tmp_path / "checkpoints")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert lines[-1]["step"] == 6
    assert {"validation_loss", "recited/org-0", "recited/org-1"} <= set(lines[-1])
    assert list((tmp_path / "tensorboard").rglob("events.*"))


def test_a_run_folder_tells_what_was_watched(watched: Plan, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    organizations = "".join(
        f'[[organizations]]\nname = "{o.name}"\ncorpus = "{o.corpus}"\n' for o in watched.organizations
    )
    path.write_text(
        f'name = "watched"\n[model]\nbase = "{watched.model.base}"\nmethod = "full"\n[regime]\nkind = "federated"\n'
        "rounds = 3\n[optimizer]\nlearning_rate = 1e-2\nblock = 64\n"
        f"[monitor]\nprefixes = 32\ntokens = 2\nstop_above = 0.0\n{organizations}",
        encoding="utf-8",
    )
    folder = run_plan(path)
    (stage,) = json.loads((folder / "run.json").read_text(encoding="utf-8"))["stages"]
    told = json.loads((folder / "federation.json").read_text(encoding="utf-8"))
    assert stage["recited"] == max(told["recited"].values())
    assert stage["stopped"] == told["stopped"]
    assert (folder / "log.jsonl").is_file()
