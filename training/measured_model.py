"""Opens what is measured, at the precision in which it is served. Knows no measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from training.errors import PlanError
from training.memorization.measurement import folder_digest, weights_folder
from training.memorization.measuring import Subject
from training.memorization.reciting import Reciter
from training.models import open_model

if TYPE_CHECKING:
    from collections.abc import Mapping

PRECISIONS: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def open_subject(model: str, base: str | None, precision: str, device: str = "cpu") -> Subject:
    """The model of a run folder, a checkpoint, an adapter of peft, "packaged" or a name on the hub, ready to be asked.

    `base`: the model under an adapter, in place of the one that the adapter names.

    Raises:
        ModelError: it cannot be opened or is no causal language model.
        PlanError: an unknown precision, or a base for what is no adapter.
    """
    if precision not in PRECISIONS:
        message = f"the precision {precision!r} is unknown: use one of {', '.join(PRECISIONS)}"
        raise PlanError(message)
    folder = Path(model).expanduser()
    weights = weights_folder(folder) if folder.is_dir() else None
    if base is None:
        loaded, tokenizer = open_model(model, device=device)
    else:
        loaded, tokenizer = _on_base(weights, model, base, device)
    loaded = loaded.to(PRECISIONS[precision])
    if weights is None:
        return Subject(Reciter(loaded, tokenizer), model, "")
    return Subject(Reciter(loaded, tokenizer), _name(folder), folder_digest(weights))


def _on_base(weights: Path | None, model: str, base: str, device: str) -> tuple[Any, Any]:
    if weights is None or not (weights / "adapter_config.json").is_file():
        message = f"{model!r} is no adapter: --base names the model under one, leave it out"
        raise PlanError(message)
    import peft  # noqa: PLC0415 - half a second that others need not wait for

    below, tokenizer = open_model(base, device=device)
    return peft.PeftModel.from_pretrained(below, weights).merge_and_unload(), tokenizer


def _name(folder: Path) -> str:
    """What a run folder calls its model, else the folder's own name."""
    try:
        return str(json.loads((folder / "run.json").read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.resolve().name
