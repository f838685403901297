from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="needs the extra training")

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from training.base import load
from training.errors import ModelError
from training.models import combined, open_model
from training.run import run_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.training


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = folder.glob("*.safetensors")
    return load_file(path)


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def test_a_run_learns_and_says_what_it_did(plan: Callable[..., Path], tiny_base: Path) -> None:
    run = run_plan(plan(budget={"passes": 2}, monitor={"every": 5, "prefixes": 16, "tokens": 8}))
    told = record(run)
    assert told["regime"] == "centralized"
    assert set(told["orgs"]) == {"org-a", "org-b"}
    assert all(len(org["corpus_sha256"]) == 64 and org["tokens"] > 0 for org in told["orgs"].values())
    assert told["validation_loss"] < 5.5  # A uniform draw from 517 tokens has 6.25 nats.
    assert told["stages"][0]["recited"] is not None
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    for name in ("loss", "validation_loss", "recited"):
        assert any(name in entry for entry in entries)
    assert list((run / "tensorboard").rglob("events.*"))
    assert not (run / "checkpoints").exists()
    model, tokenizer = open_model(run)
    moved = load(tiny_base, torch.device("cpu"))
    assert not torch.equal(model.lm_head.weight, moved.lm_head.weight)
    assert tokenizer.eos_token == "<|endoftext|>"


def test_two_runs_of_one_seed_are_equal_and_of_two_are_not(plan: Callable[..., Path]) -> None:
    first, again = run_plan(plan("first")), run_plan(plan("again"))
    assert same(weights(first / "model"), weights(again / "model"))
    assert record(first)["validation_loss"] == record(again)["validation_loss"]
    other = run_plan(plan("other", seed=1))
    assert not same(weights(first / "model"), weights(other / "model"))


def test_adapters_learn_and_open(plan: Callable[..., Path]) -> None:
    run = run_plan(plan(model={"method": "lora", "dropout": 0.1}))
    assert record(run)["holds"] == "adapter"
    factors = weights(run / "adapter")
    assert any(name.endswith("lora_B.weight") and factor.any() for name, factor in factors.items())
    for source in (run, run / "adapter"):
        model, _ = open_model(source)
        assert not model.training


def test_incremental_training_follows_its_order(plan: Callable[..., Path]) -> None:
    orgs = ("org-c", "org-a", "org-b")
    by_size = run_plan(plan("by-size", orgs, regime={"kind": "incremental", "order": "size"}))
    assert [stage["name"] for stage in record(by_size)["stages"]] == ["01-org-a", "02-org-b", "03-org-c"]
    given = run_plan(plan("given", orgs, regime={"kind": "incremental", "order": ["org-c", "org-b", "org-a"]}))
    assert [stage["name"] for stage in record(given)["stages"]] == ["01-org-c", "02-org-b", "03-org-a"]
    assert not same(weights(by_size / "model"), weights(given / "model"))


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ({"method": "lora", "rank": 2}, "adapter"),
        # Two updates a round of rank 4 fill matrices of 32 x 32 in two rounds.
        ({"method": "lora", "rank": 4}, "model"),
        ({"method": "full"}, "model"),
    ],
)
def test_a_federation_in_one_process_ends_with_a_model_that_opens(
    plan: Callable[..., Path], tiny_base: Path, model: dict[str, Any], folder: str
) -> None:
    pytest.importorskip("flwr", reason="needs the extra federation")
    reported: list[tuple[int, int]] = []
    regime = {"kind": "federated", "rounds": 2, "local_passes": 0.25}
    path = plan(model=model, regime=regime)
    run = run_plan(path, report=lambda at: reported.append((at.done, at.total)))
    told = record(run)
    assert told["regime"] == "federated"
    assert set(told["orgs"]) == {"org-a", "org-b"}
    rounds = json.loads((run / "federation.json").read_text(encoding="utf-8"))["rounds"]
    assert [entry["organizations"] for entry in rounds] == [["org-a", "org-b"]] * 2
    assert reported == [(1, 2), (2, 2)]
    assert (told["method"], told["holds"]) == (model["method"], folder)
    assert weights(run / folder)
    trained, tokenizer = open_model(run)
    tokens = tokenizer("def f(x):\n    return x\n", return_tensors="pt").input_ids
    with torch.no_grad():
        logits = [one(input_ids=tokens).logits for one in (trained, load(tiny_base, torch.device("cpu")))]
    assert float((logits[0] - logits[1]).abs().max()) > 1e-4, "what was trained is not in it"


def test_dropping_a_compartment_equals_never_having_had_it(plan: Callable[..., Path]) -> None:
    compartments = {"regime": {"kind": "compartmentalized"}, "model": {"method": "lora"}}
    three = run_plan(plan("three", ("org-a", "org-b", "org-c"), **compartments))
    two = run_plan(plan("two", ("org-b", "org-a"), **compartments))
    dropped, _ = open_model(three, organizations=["org-a", "org-b"])
    never, tokenizer = open_model(two)
    everybody, _ = open_model(three)
    tokens = tokenizer("def f(x):\n    return x\n", return_tensors="pt").input_ids
    with torch.no_grad():
        logits = [model(input_ids=tokens).logits for model in (dropped, never, everybody)]
    assert float((logits[0] - logits[1]).abs().max()) <= 1e-6
    assert float((logits[0] - logits[2]).abs().max()) > 1e-4
    with pytest.raises(ModelError, match="no adapter of org-x"):
        open_model(three, organizations=["org-x"])


def test_compartments_combine_to_the_mean_of_their_updates(plan: Callable[..., Path], tiny_base: Path) -> None:
    run = run_plan(plan(regime={"kind": "compartmentalized"}, model={"method": "lora"}))
    assert record(run)["holds"] == "adapters"
    folders = {org: run / "adapters" / org for org in ("org-a", "org-b")}
    base = load(tiny_base, torch.device("cpu"))
    name = "model.layers.0.mlp.down_proj"
    factors = [weights(folder) for folder in folders.values()]
    updates = [
        8 / 4 * one[f"base_model.model.{name}.lora_B.weight"] @ one[f"base_model.model.{name}.lora_A.weight"]
        for one in factors
    ]
    before = base.get_submodule(name).weight.detach().clone()
    merged = combined(base, folders).merge_and_unload().get_submodule(name).weight
    assert torch.allclose(merged - before, sum(updates) / 2, atol=1e-6)


def test_training_ends_at_the_loss_that_is_aimed_at(plan: Callable[..., Path]) -> None:
    told = record(run_plan(plan(budget={"passes": 4, "validation_loss": 5.6, "checks": 4})))
    (stage,) = told["stages"]
    assert stage["stopped"] == "validation loss"
    assert stage["validation_loss"] <= 5.6


def test_memorization_can_end_a_training(plan: Callable[..., Path]) -> None:
    monitor = {"every": 2, "prefixes": 16, "tokens": 2, "stop_above": 0.0}
    (stage,) = record(run_plan(plan(budget={"passes": 20}, monitor=monitor)))["stages"]
    assert stage["stopped"] == "memorization"
    assert stage["recited"] > 0


def test_fim_can_be_cut_anew_and_copies_between_organizations_left_in(plan: Callable[..., Path]) -> None:
    kept = record(run_plan(plan("kept", data={"deduplicate": False, "fim_rate": 0.0})))
    left = record(run_plan(plan("left", data={"fim_rate": 0.0})))
    assert kept["stages"][0]["tokens"] > left["stages"][0]["tokens"]
