"""Merges a released adapter into its base: one checkpoint of transformers' that needs no peft. Knows no registry."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from training.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


def merge(base: Path, adapter: Path, trappings: Path, out: Path) -> None:
    """Write the base in `base` with the adapter merged, as float32 safetensors, and the tokenizer to `out`.

    `trappings` has configuration and tokenizer. float32, whatever the base's type: rounding the sum to bfloat16 would
    make it another model than the one that was measured.

    Raises:
        ModelError: one of them cannot be loaded, or `out` cannot be written.
    """
    torch, transformers = importlib.import_module("torch"), importlib.import_module("transformers")
    peft = importlib.import_module("peft")
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(base),
            config=transformers.AutoConfig.from_pretrained(str(trappings)),
            dtype=torch.float32,
            use_safetensors=True,
        )
        merged = peft.PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
        merged.save_pretrained(str(out), safe_serialization=True)
        transformers.AutoTokenizer.from_pretrained(str(trappings)).save_pretrained(str(out))
    except (OSError, ValueError, RuntimeError) as error:
        message = f"{adapter} cannot be merged into {base} ({type(error).__name__}: {error})"
        raise ModelError(message) from error
