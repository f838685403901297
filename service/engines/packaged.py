"""Names the model file that an engine runs: the packaged one, or another. Knows nothing of how a model is run."""

from __future__ import annotations

from pathlib import Path

from published.packaged import INSTALL, find_packaged
from service.errors import SetupError


def packaged_model() -> Path:
    """The path of the packaged GGUF. Raises SetupError when the wheel is not installed."""
    path = find_packaged()
    if path is None:
        message = f"no model is named and the packaged one is not installed: run `{INSTALL}`, or name a model"
        raise SetupError(message)
    return path


def model_file(model: str | None) -> Path:
    """The GGUF file that `model` names, or the packaged one. Raises SetupError when there is none."""
    if model is None:
        return packaged_model()
    path = Path(model).expanduser()
    if not path.is_file():
        message = f"the model file {str(path)!r} does not exist: name a GGUF file, or none for the packaged model"
        raise SetupError(message)
    return path
