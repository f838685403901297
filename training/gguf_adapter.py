"""Writes a LoRA adapter of peft as GGUF, which llama.cpp lays over a base of the same weights. Knows no base's weights.

The form is llama.cpp's (docs of `--lora`; `src/llama-adapter.cpp` reads it): general.type "adapter", adapter.type
"lora", adapter.lora.alpha, and the two factors of each module named after the base's tensor, with .lora_a and .lora_b
behind it. The file is written by llama.cpp's own package `gguf`, which also knows the tensors' names.

In GGUF files of Llama models the rows of each head of the query and key projections stand in another order than in
those of transformers: the two halves that rotary embedding pairs are interleaved. B's rows are rows of the projection,
so they follow; A's are not.
"""

from __future__ import annotations

import importlib
import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

from training.errors import UnsupportedAdapterError

if TYPE_CHECKING:
    from pathlib import Path

_ARCHITECTURES: Final = {
    # Name in transformers: name in GGUF, and whether query and key are interleaved there.
    "LlamaForCausalLM": ("llama", True),
    "MistralForCausalLM": ("llama", True),
    "Qwen2ForCausalLM": ("qwen2", False),
}
_FACTOR: Final = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<factor>[AB])\.weight")


def write_gguf_adapter(adapter: Path, config: Path, out: Path) -> None:
    """Write the adapter in the folder `adapter`, of a base with this `config` (config.json), to `out`.

    What is float16 stays so; all else is written as float32.

    Raises:
        UnsupportedAdapterError: the architecture is not known here, or it is more than a LoRA of linear modules.
    """
    base, told = json.loads(config.read_bytes()), json.loads((adapter / "adapter_config.json").read_bytes())
    architecture = next(iter(base.get("architectures") or ()), None)
    if architecture not in _ARCHITECTURES:
        known = ", ".join(sorted(_ARCHITECTURES))
        message = f"{architecture} is not among the architectures whose adapters are written as GGUF ({known})"
        raise UnsupportedAdapterError(message)
    _require_plain(told)
    name, interleaved = _ARCHITECTURES[architecture]
    gguf, safetensors = _library("gguf"), _library("safetensors.torch")
    tensors = safetensors.load_file(str(adapter / "adapter_model.safetensors"))
    places = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, name.upper()), base["num_hidden_layers"])
    heads = {
        "q_proj": base["num_attention_heads"],
        "k_proj": base.get("num_key_value_heads", base["num_attention_heads"]),
    }
    writer = gguf.GGUFWriter(str(out), name)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, _alpha(told))
    for key in sorted(tensors):
        found = _FACTOR.fullmatch(key)
        place = found and places.get_name(found["module"])
        if not found or not place:
            message = f"the tensor {key} has no place in a GGUF of {name}"
            raise UnsupportedAdapterError(message)
        values = tensors[key].numpy() if str(tensors[key].dtype) == "torch.float16" else tensors[key].float().numpy()
        turned = heads.get(found["module"].rpartition(".")[2])
        if interleaved and turned is not None and found["factor"] == "B":
            values = _interleaved(values, turned)
        writer.add_tensor(f"{place}.weight.lora_{found['factor'].lower()}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _library(name: str) -> Any:  # noqa: ANN401 - an optional module
    try:
        return importlib.import_module(name)
    except ImportError:
        message = f"writing GGUF needs {name}: run pip install 'cleanroom[training]'"
        raise UnsupportedAdapterError(message) from None


def _alpha(told: dict[str, Any]) -> float:
    """llama.cpp scales by alpha / rank, rank-stabilized LoRA by alpha / sqrt(rank) (Kalajdzievski 2023)."""
    alpha = float(told["lora_alpha"])
    return alpha * math.sqrt(told["r"]) if told.get("use_rslora") else alpha


def _require_plain(told: dict[str, Any]) -> None:
    """Hold that the adapter is A and B on linear modules with one scale, and nothing else."""
    more = [
        name
        for name in ("alpha_pattern", "modules_to_save", "use_dora", "lora_bias", "fan_in_fan_out")
        if told.get(name)
    ]
    if told.get("rank_pattern") and told.get("use_rslora"):
        more.append("rank_pattern with use_rslora")
    if told.get("bias", "none") != "none":
        more.append("bias")
    if told.get("peft_type") != "LORA" or more:
        what = ", ".join(more) or f"peft_type {told.get('peft_type')}"
        message = f"llama.cpp knows plain LoRA alone, and this adapter has {what}"
        raise UnsupportedAdapterError(message)


def _interleaved(values: Any, heads: int) -> Any:  # noqa: ANN401 - numpy arrays of an optional extra
    """Rows (heads x 2 halves x pairs) as (heads x pairs x 2 halves). `values`: rows x rank."""
    rows, rank = values.shape
    return values.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank)
