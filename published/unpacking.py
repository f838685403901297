"""Turns a packed model (GGUF) into plain weights that transformers and vLLM load. Knows not where they are kept.

Imports nothing of the package, so that the Python of another environment can run it as a file:
`python -I unpacking.py MODEL.gguf FOLDER`.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any


def unpack(packed: Path, folder: Path, torch: Any, transformers: Any) -> None:  # noqa: ANN401 - optional modules
    """Write bfloat16 safetensors, configuration and tokenizer of `packed` to `folder`, all at once or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{packed.stem}-", dir=folder.parent))
    try:
        _write(packed, draft, torch, transformers)
        _publish(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(packed: Path, folder: Path, torch: Any, transformers: Any) -> None:  # noqa: ANN401 - as above
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


def main() -> None:
    """Unpack the model of the first argument to the folder of the second."""
    packed, folder = map(Path, sys.argv[1:])
    # Imported only here: the service may have neither.
    unpack(packed, folder, importlib.import_module("torch"), importlib.import_module("transformers"))


if __name__ == "__main__":
    main()
