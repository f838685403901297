from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from samples.gates import Gate, gate_in
from samples.runs import checkpoint, measurements, run_folder

from registry.weights import weights_digest
from training.base_files import base_digest
from training.errors import ModelError, UnsupportedAdapterError
from training.gguf_adapter import write_gguf_adapter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def adapted(tmp_path: Path) -> Gate:
    gate = gate_in(tmp_path)
    base = checkpoint(gate.folder / "machine" / "base")
    run = run_folder(gate.folder / "adapted", base)
    told = measurements(run / "adapter", gate.folder / "measured.json")
    gate.submission = replace(gate.submission, run=run, measurements=[told])
    return gate


def retell(gate: Gate, **changes: object) -> None:
    """Change what the run says of itself."""
    path = gate.submission.run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_adapter_is_bound_to_its_base(adapted: Gate) -> None:
    made = adapted.create()
    base = made.manifest.base
    assert base is not None
    assert base.name == "base"
    assert base.weights_sha256 == weights_digest(adapted.folder / "machine" / "base")
    assert sorted(made.manifest.files) == [
        "README.md", "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "base/config.json",
        "base/tokenizer.json", "card.json", "plan.toml", "thresholds.toml",
    ]  # fmt: skip
    assert adapted.said
    assert adapted.said[0].startswith("without adapter.gguf: OtherForCausalLM")


def test_no_path_of_the_machine_is_released(adapted: Gate) -> None:
    made = adapted.create()
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert str(adapted.folder).encode() not in path.read_bytes()


def test_a_base_that_is_not_there_is_asked_for(adapted: Gate) -> None:
    (adapted.folder / "machine").rename(adapted.folder / "moved")
    with pytest.raises(ModelError, match=r"--base|does not exist"):
        adapted.create()
    assert adapted.create(base=adapted.folder / "moved" / "base").manifest.base is not None


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_another_base_than_the_run_began_with_is_refused(adapted: Gate, name: str) -> None:
    base = adapted.folder / "machine" / "base"
    other = adapted.folder / "other"
    shutil.copytree(base, other)
    assert adapted.create(base=other).manifest.base is not None  # the same files elsewhere
    (other / name).write_bytes((other / name).read_bytes() + b" ")
    with pytest.raises(ModelError, match="is not the base that"):
        adapted.create(base=other)
    (base / name).write_bytes((other / name).read_bytes())
    with pytest.raises(ModelError, match="is not the base that"):
        adapted.create()
    assert adapted.releases.versions("small") == [1]


def test_also_a_whole_models_base_is_held_to_what_the_run_says(tmp_path: Path) -> None:
    gate = gate_in(tmp_path)
    base = checkpoint(tmp_path / "base")
    with pytest.raises(ModelError, match="is not the base that"):
        gate.create(base=base)
    retell(gate, base_sha256=base_digest(base))
    assert gate.create(base=base).manifest.base is None


def test_a_run_that_does_not_say_its_base_is_not_released(adapted: Gate) -> None:
    retell(adapted, base_sha256=None)
    with pytest.raises(ModelError, match="base_sha256"):
        adapted.create()


def test_an_adapters_own_tokenizer_is_the_one_that_is_released(adapted: Gate) -> None:
    adapter = adapted.submission.run / "adapter"
    (adapter / "tokenizer.json").write_text('{"own":1}')
    made = adapted.create(measurements=[measurements(adapter, adapted.folder / "again.json")])
    assert (made.folder / "base" / "tokenizer.json").read_text() == '{"own":1}'


def test_a_base_without_tokenizer_is_refused(adapted: Gate) -> None:
    (adapted.folder / "machine" / "base" / "tokenizer.json").unlink()
    retell(adapted, base_sha256=base_digest(adapted.folder / "machine" / "base"))
    with pytest.raises(ModelError, match="tokenizer"):
        adapted.create()


def test_a_compartment_is_released_on_its_own(adapted: Gate) -> None:
    run = adapted.submission.run
    (run / "adapters").mkdir()
    (run / "adapter").rename(run / "adapters" / "org-a")
    with pytest.raises(ModelError, match="--compartment"):
        adapted.create()
    with pytest.raises(ModelError, match="no compartment 'org-b'"):
        adapted.create(compartment="org-b")
    card = adapted.create(compartment="org-a").card()
    assert list(card["organizations"]) == ["org-a"]
    assert card["compartment"] == "org-a"


@pytest.mark.parametrize(
    "change", [{"use_dora": True}, {"peft_type": "IA3"}, {"bias": "all"}, {"alpha_pattern": {"q_proj": 1}}]
)
def test_more_than_plain_lora_is_not_written_as_gguf(adapted: Gate, tmp_path: Path, change: dict[str, Any]) -> None:
    adapter, config = adapted.submission.run / "adapter", tmp_path / "config.json"
    config.write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnsupportedAdapterError, match="plain LoRA"):
        write_gguf_adapter(adapter, config, tmp_path / "out.gguf")
