"""What would fail after hours fails at once, and what is interrupted goes on."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="needs the extra training")

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import torch
import transformers
from safetensors.torch import load_file

from training.corpora import CorpusPlan, build
from training.data import open_corpus, training_examples
from training.errors import DestinationError, EmptyCorpusError, ModelError, PlanError, StoppedError, TrainingError
from training.models import open_model
from training.plan import DataPlan
from training.run import run_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.training

TRAIN = """
import sys, pathlib, torch
from training.run import run_plan
torch.set_num_threads(1)
run_plan(*map(pathlib.Path, sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"model": {"base": "./absent"}}, ModelError, "does not exist"),
        ({"model": {"method": "lora", "targets": ["absent_proj"]}}, ModelError, "do not fit the base"),
        ({"monitor": {"tokens": 64}}, PlanError, "no file fills 128 tokens"),
        ({"data.repeat": {'"le3.py"': 2}}, PlanError, "data.repeat names 'le3.py', in which no path"),
        ({"orgs": ("org-a", "absent")}, PlanError, "is no complete corpus"),
        ({"checkpoints": {"keep": 10**9}}, DestinationError, "the run needs"),
        ({"optimizer": {"learning_rate": 1e30}}, StoppedError, "learning_rate"),
        ({"optimizer": {"learning_rate": 1e-30}}, StoppedError, "no weight has moved"),
    ],
)
def test_what_cannot_be_trained_is_named(
    plan: Callable[..., Path], changes: dict[str, Any], error: type[TrainingError], said: str
) -> None:
    with pytest.raises(error, match=said):
        run_plan(plan(**changes))


def test_other_identifiers_are_trained_on(plan: Callable[..., Path]) -> None:
    tokens = []
    for share in (0.0, 1.0):
        run = run_plan(plan(f"share-{share:g}", orgs=("org-a",), data={"rename_identifiers": share}))
        tokens.append(json.loads((run / "run.json").read_text(encoding="utf-8"))["orgs"]["org-a"]["tokens"])
    assert tokens[0] != tokens[1]


def test_files_that_are_read_several_times_lie_apart(corpora: dict[str, Path]) -> None:
    corpus = open_corpus("org-a", corpora["org-a"])
    once = [example.path for example in training_examples([corpus], DataPlan(), 0)]
    twice, thrice = once[0], once[3]
    settings = DataPlan(repeat={twice: 2, thrice.rpartition("/")[2]: 3})
    paths = [example.path for example in training_examples([corpus], settings, 0)]
    assert paths == [*once, twice, thrice, thrice]


def test_a_run_goes_on_from_another_one(plan: Callable[..., Path]) -> None:
    first = run_plan(plan("first"))
    second = run_plan(plan("second", model={"base": str(first)}))
    told = [json.loads((run / "run.json").read_text(encoding="utf-8")) for run in (first, second)]
    assert [one["parent"] for one in told] == [None, "first"]
    assert told[1]["validation_loss"] < told[0]["validation_loss"]


@pytest.mark.parametrize(
    ("method", "file"), [("lora", "adapter/adapter_model.safetensors"), ("full", "model/model.safetensors")]
)
def test_what_is_saved_in_half_precision_is_what_was_measured(
    plan: Callable[..., Path], method: str, file: str
) -> None:
    changes = {"method": method, "precision": "float16"}
    run = run_plan(plan(f"half-{method}", model=changes))
    assert {one.dtype for one in load_file(run / file).values()} == {torch.float16}
    model, _ = open_model(run)
    whole = run_plan(plan(f"whole-{method}", model={"method": method}))
    for name, one in load_file(whole / file).items():
        assert torch.equal(load_file(run / file)[name], one.half())
    assert next(model.parameters()).dtype is torch.float32
    losses = [json.loads((one / "run.json").read_text(encoding="utf-8"))["validation_loss"] for one in (run, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert losses[0] != losses[1]


@pytest.mark.parametrize("regime", ["centralized", "compartmentalized"])
def test_a_weakened_adapter_lies_between_the_base_and_what_was_trained(plan: Callable[..., Path], regime: str) -> None:
    changes = {"regime": {"kind": regime}}
    whole, half = (
        run_plan(plan(f"{regime}-{strength}", model={"method": "lora", "strength": strength}, **changes))
        for strength in (1.0, 0.5)
    )
    (file, *_) = sorted(path.relative_to(whole) for path in whole.rglob("adapter_model.safetensors"))
    for name, one in load_file(whole / file).items():
        assert torch.allclose(load_file(half / file)[name], one * 0.5 if "lora_B" in name else one)
    losses = [json.loads((one / "run.json").read_text(encoding="utf-8"))["validation_loss"] for one in (whole, half)]
    assert losses[0] != losses[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(plan: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="finds no GPU here"):
        run_plan(plan(model={"device": "cuda"}))


def test_a_model_that_is_not_causal_is_refused(plan: Callable[..., Path], tmp_path: Path) -> None:
    config = transformers.BertConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path / "bert")
    with pytest.raises(ModelError, match="is BertForMaskedLM, no causal language model"):
        run_plan(plan(model={"base": str(tmp_path / "bert")}))


def test_weights_that_could_run_code_are_refused(plan: Callable[..., Path], tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").rename(tmp_path / "base" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no weights as safetensors"):
        run_plan(plan(model={"base": str(tmp_path / "base")}))


def test_a_corpus_of_one_file_and_an_empty_one_are_refused(
    plan: Callable[..., Path], code: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "only.py").write_text(code(1), encoding="utf-8")
    build(CorpusPlan((tmp_path / "tree",), tmp_path / "one"))
    with pytest.raises(EmptyCorpusError, match=r"one: of the 1 files .* none is there to hold out"):
        run_plan(plan(orgs=("org-a", "one")))
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text(encoding="utf-8"))
    for split, count in manifest["splits"].items():
        (tmp_path / "one" / f"{split}.jsonl").write_bytes(b"")
        count.update(examples=0, sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    (tmp_path / "one" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(EmptyCorpusError, match="is empty"):
        run_plan(plan(orgs=("org-a", "one")))


def test_a_corpus_that_was_changed_is_refused(
    plan: Callable[..., Path], corpora: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(corpora["org-a"], tmp_path / "changed")
    with (tmp_path / "changed" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write("{}\n")
    with pytest.raises(PlanError, match="is not what the manifest beside it says"):
        run_plan(plan(orgs=("changed",)))


def test_a_federation_that_is_not_there_is_told(plan: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "training.federated", None)
    with pytest.raises(PlanError, match="'federated' cannot be run here"):
        run_plan(plan(regime={"kind": "federated", "rounds": 1, "local_passes": 0.5}, budget={}))


def test_a_finished_run_and_other_files_are_never_overwritten(plan: Callable[..., Path], tmp_path: Path) -> None:
    run = run_plan(plan(), tmp_path / "run")
    for resume in (False, True):
        with pytest.raises(DestinationError, match="holds a finished run"):
            run_plan(plan(), run, resume=resume)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(DestinationError, match="holds other files"):
        run_plan(plan(), tmp_path / "mine")
    with pytest.raises(DestinationError, match="holds no run to go on with"):
        run_plan(plan(), tmp_path / "nothing", resume=True)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    plan: Callable[..., Path], tmp_path: Path, method: str
) -> None:
    changes: dict[str, Any] = {
        "model": {"method": method, "dropout": 0.1},
        "regime": {"kind": "incremental", "order": ["org-b", "org-a"]},
        # Rows that begin elsewhere in every pass must do so behind an interruption, too.
        "budget": {"passes": 2},
        "data": {"row_starts": "random"},
        "checkpoints": {"every": 4},
        "monitor": {"every": 5, "prefixes": 8, "tokens": 8},
    }
    whole = run_plan(plan(**changes), tmp_path / "whole")
    run = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", TRAIN, str(plan(**changes)), str(run)])
    try:
        # In the second of its two stages, behind a checkpoint.
        wait_for(run / "checkpoints" / "02-org-a" / "checkpoint-8" / "complete", process)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (run / "run.json").exists()
    with pytest.raises(DestinationError, match="holds an interrupted run: go on with --resume"):
        run_plan(plan(**changes), run)
    (run / "checkpoints" / "02-org-a" / "checkpoint-99").mkdir()  # As one that was being written.
    steps: list[tuple[str, int]] = []
    run_plan(plan(**changes), run, resume=True, report=lambda at: steps.append((at.stage, at.done)))
    assert steps[0] >= ("02-org-a", 9), "more than an interval was lost"
    folder = "adapter" if method == "lora" else "model"
    one, two = (load_file(next((path / folder).glob("*.safetensors"))) for path in (whole, run))
    assert all(torch.equal(one[name], two[name]) for name in one)
    logs = [sorted((path / "log.jsonl").read_text(encoding="utf-8").splitlines()) for path in (whole, run)]
    assert logs[0] == logs[1]


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 400
    while not path.exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_run_goes_on_only_with_the_plan_it_was_begun_with(plan: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run_plan(plan(optimizer={"learning_rate": 1e-30}), tmp_path / "run")
    with pytest.raises(PlanError, match=r"plan is not what .* was begun with"):
        run_plan(plan(), tmp_path / "run", resume=True)
