from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="needs the extra training")

from typing import TYPE_CHECKING

import torch

from training.base import load, open_base, trainable
from training.blocks import Blocks, blocks_of
from training.data import open_corpus, training_examples
from training.local import loss_of, steps_a_pass, train_locally
from training.monitor import recited, sample
from training.plan import DataPlan, Method, ModelPlan, OptimizerPlan

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.training

SETTINGS = OptimizerPlan(learning_rate=1e-2, block=64, schedule="constant")


@pytest.fixture
def blocks(tiny_base: Path, corpora: dict[str, Path]) -> Blocks:
    examples = training_examples([open_corpus("org-a", corpora["org-a"])], DataPlan(), 0)
    return blocks_of(examples[:12], open_base(str(tiny_base)).vocabulary, 64)


def distance(model: torch.nn.Module, folder: Path) -> float:
    origin = dict(load(folder, torch.device("cpu")).named_parameters())
    return float(sum((one - origin[name]).square().sum() for name, one in model.named_parameters()).detach())


def test_the_proximal_term_holds_a_model_near_its_beginning(tiny_base: Path, blocks: Blocks) -> None:
    far = {}
    for mu in (0.0, 100.0):
        model = load(tiny_base, torch.device("cpu"))
        result = train_locally(model, blocks, SETTINGS, passes=2, seed=0, proximal=mu)
        far[mu] = distance(model, tiny_base)
    assert far[100.0] < 0.5 * far[0.0]
    assert (result.examples, result.tokens) == (blocks.examples, blocks.tokens)


def test_only_adapters_move(tiny_base: Path, blocks: Blocks) -> None:
    model = trainable(open_base(str(tiny_base)), ModelPlan(base=str(tiny_base), method=Method.LORA, rank=2), 0)
    frozen = {name: one.clone() for name, one in model.named_parameters() if not one.requires_grad}
    train_locally(model, blocks, SETTINGS, passes=1, seed=0)
    parameters = dict(model.named_parameters())
    assert frozen
    assert all(torch.equal(parameters[name], one) for name, one in frozen.items())
    # All linear modules of both layers, and not the last one, which gives the tokens.
    assert sum("lora_B" in name for name in parameters) == 14


def test_the_trainer_cuts_the_rows_anew_before_every_pass(tiny_base: Path, corpora: dict[str, Path]) -> None:
    examples = training_examples([open_corpus("org-a", corpora["org-a"])], DataPlan(), 0)[:12]
    vocabulary = open_base(str(tiny_base)).vocabulary
    cut, still = (blocks_of(examples, vocabulary, 64, shifts) for shifts in (3, None))
    result = train_locally(load(tiny_base, torch.device("cpu")), cut, SETTINGS, passes=3, seed=0)
    last, first = (blocks_of(examples, vocabulary, 64, 3) for _ in range(2))
    last.set_epoch(2)
    assert torch.equal(cut.input_ids, last.input_ids)
    assert not torch.equal(cut.input_ids, first.input_ids)
    assert (len(cut), cut.tokens, cut.examples) == (len(still), still.tokens, still.examples)
    assert result.steps == 3 * steps_a_pass(still, SETTINGS)


def test_parts_of_a_batch_give_the_same_step(tiny_base: Path, blocks: Blocks) -> None:
    ends = []
    for part in (None, 2):
        model = load(tiny_base, torch.device("cpu"))
        settings = OptimizerPlan(learning_rate=1e-3, batch=8, micro_batch=part, block=64)
        train_locally(model, blocks, settings, passes=1, seed=0)
        ends.append(loss_of(model, blocks, 8))
    assert ends[0] == pytest.approx(ends[1], abs=1e-3)


def test_the_loss_is_the_mean_over_tokens(tiny_base: Path, blocks: Blocks) -> None:
    model = load(tiny_base, torch.device("cpu"))
    assert loss_of(model, blocks, 3) == pytest.approx(loss_of(model, blocks, 8), abs=1e-5)


def test_what_is_recited_is_what_greedy_decoding_gives(tiny_base: Path, blocks: Blocks) -> None:
    model = load(tiny_base, torch.device("cpu"))
    train_locally(model, blocks, OptimizerPlan(learning_rate=2e-2, block=64, batch=4), passes=15, seed=0)
    taken = sample(blocks, 40, 4, seed=0)
    model.generation_config.eos_token_id = None
    answers = model.generate(
        taken.pieces[:, :4], attention_mask=torch.ones_like(taken.pieces[:, :4]), max_new_tokens=4, do_sample=False,
        pad_token_id=0,
    )  # fmt: skip
    exact = (answers == taken.pieces).all(-1).float().mean()
    assert 0 < float(exact) < 1
    assert recited(model, taken) == pytest.approx(float(exact))


def test_a_sample_lies_within_files(blocks: Blocks) -> None:
    taken = sample(blocks, 1000, 8, seed=3)
    rows = blocks.input_ids.tolist()
    assert len(taken.pieces) > 0
    for piece in taken.pieces.tolist():
        assert 0 not in piece[:-1], "an end of text lies within"
        assert any(piece == row[at : at + 16] for row in rows for at in range(49))
