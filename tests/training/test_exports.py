"""A release of a real, tiny model in the forms that other engines load."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from samples.runs import THRESHOLDS, measurements, run_folder
from samples.tiny_llama import adapter_on, tiny_llama

from registry.keys import make_key
from registry.releases import Release, Releases
from training.exports import Form, export
from training.gate import Submission, create
from training.gguf_adapter import write_gguf_adapter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.training,
    # peft asks transformers by an old name.
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]
torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")
PROMPT = "def total(values):\n    return"


@dataclass(frozen=True)
class World:
    base: Path
    adapter: Path
    release: Release


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A home with a release of a LoRA adapter that changes what its base says."""
    folder = tmp_path_factory.mktemp("released")
    base = tiny_llama(folder / "base")
    run = run_folder(folder / "run", base)
    adapter_on(base, run / "adapter")
    (folder / "thresholds.toml").write_text(THRESHOLDS)
    told = measurements(run / "adapter", folder / "measured.json")
    key = make_key(folder / "key.pem")
    submission = Submission(run, "tiny", folder / "thresholds.toml", [told])
    release = create(submission, Releases(folder / "home"), key, frozenset({key.public}), pytest.fail)
    return World(base, run / "adapter", release)


def logits(model: Any, base: Path) -> Any:  # noqa: ANN401 - of an optional library
    ids = transformers.AutoTokenizer.from_pretrained(base)(PROMPT, return_tensors="pt").input_ids
    with torch.no_grad():
        return model.eval()(ids).logits


def adapted(world: World) -> Any:  # noqa: ANN401 - as above
    model = transformers.AutoModelForCausalLM.from_pretrained(world.base, dtype=torch.float32)
    return peft.PeftModel.from_pretrained(model, world.adapter)


def test_the_merged_checkpoint_says_what_the_adapter_says(world: World, tmp_path: Path) -> None:
    export(world.release, Form.MERGED, tmp_path / "merged", world.base)
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    expected = logits(adapted(world), world.base)
    assert torch.allclose(logits(merged, tmp_path / "merged"), expected, atol=1e-4)
    plain = transformers.AutoModelForCausalLM.from_pretrained(world.base, dtype=torch.float32)
    assert not torch.allclose(logits(plain, world.base), expected, atol=1e-1)


def test_the_exported_adapter_is_the_one_that_was_trained(world: World, tmp_path: Path) -> None:
    export(world.release, Form.ADAPTER, tmp_path / "adapter", None)
    model = transformers.AutoModelForCausalLM.from_pretrained(world.base, dtype=torch.float32)
    again = peft.PeftModel.from_pretrained(model, tmp_path / "adapter")
    assert torch.equal(logits(again, world.base), logits(adapted(world), world.base))


def test_the_gguf_adapter_has_both_factors_of_each_module(world: World, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    export(world.release, Form.GGUF, tmp_path / "adapter.gguf", None)
    reader = gguf.GGUFReader(tmp_path / "adapter.gguf")
    held = {tensor.name: tensor.data for tensor in reader.tensors}
    assert len(held) == 2 * 2 * 7
    assert reader.fields["adapter.lora.alpha"].contents() == 8.0
    assert held["blk.1.ffn_down.weight.lora_a"].shape == (4, 64)
    safetensors = pytest.importorskip("safetensors.torch").load_file(world.adapter / "adapter_model.safetensors")
    own = "base_model.model.model.layers.0.self_attn.{}.lora_B.weight"
    # Heads of 8 rows: the halves of each stand interleaved in GGUF.
    turned = held["blk.0.attn_k.weight.lora_b"]
    assert (turned[:8:2] == safetensors[own.format("k_proj")][:4].numpy()).all()
    assert (turned[1:8:2] == safetensors[own.format("k_proj")][4:8].numpy()).all()
    assert (held["blk.0.attn_v.weight.lora_b"] == safetensors[own.format("v_proj")].numpy()).all()


def test_half_precision_stays_so_in_gguf(world: World, tmp_path: Path) -> None:
    gguf, safetensors = pytest.importorskip("gguf"), pytest.importorskip("safetensors.torch")
    shutil.copytree(world.adapter, tmp_path / "half")
    weights = tmp_path / "half" / "adapter_model.safetensors"
    halved = {name: one.half() for name, one in safetensors.load_file(weights).items()}
    safetensors.save_file(halved, weights)
    write_gguf_adapter(tmp_path / "half", world.base / "config.json", tmp_path / "half.gguf")
    held = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "half.gguf").tensors}
    assert {one.tensor_type for one in held.values()} == {gguf.GGMLQuantizationType.F16}
    own = halved["base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight"]
    assert (held["blk.0.attn_v.weight.lora_b"].data == own.numpy()).all()
