"""Opens what training writes and what it starts from, as a model and its tokenizer. Knows no plan and no corpus.

A run folder, a checkpoint of Hugging Face, a folder with one adapter (peft), "packaged", or a name on the hub.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peft
import transformers

from training.base import base_folder, device_for, load, open_base, require_causal
from training.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RUN = "run.json"
MODEL, ADAPTER, ADAPTERS = "model", "adapter", "adapters"
COMBINED = "combined"
"""The adapter that those of several organizations make together."""


def open_model(
    source: str | Path, *, organizations: Sequence[str] | None = None, device: str = "cpu"
) -> tuple[Any, Any]:
    """The model, in float32 and ready to be asked (`eval`), and its tokenizer.

    `organizations`: of a compartmentalized run, those whose adapters are combined; None for all of them. `device`:
    "cpu", "cuda" or "auto".

    Raises ModelError for what is none of the above, is incomplete, or is no causal language model.
    """
    folder = Path(source).expanduser()
    if (folder / RUN).is_file():
        return _of_run(folder, organizations, device)
    if organizations is not None:
        message = f"{source} is no compartmentalized run, whose organizations could be chosen: leave them out"
        raise ModelError(message)
    if (folder / "adapter_config.json").is_file():
        return _with_adapter(folder, device)
    base = open_base(str(source))
    model = load(base.folder, device_for(device))
    return model.eval(), base.tokenizer


def held_in(run: Path) -> str:
    """What a run folder holds, by the folder's name: MODEL, ADAPTER or ADAPTERS.

    Raises ModelError for one that holds none.
    """
    for name in (ADAPTERS, MODEL, ADAPTER):
        if (run / name).is_dir():
            return name
    message = f"the run {run} holds no model: it was interrupted; go on with `cleanroom train PLAN --resume`"
    raise ModelError(message)


def _of_run(folder: Path, organizations: Sequence[str] | None, device: str) -> tuple[Any, Any]:
    held = held_in(folder)
    if held == ADAPTERS:
        return _of_compartments(folder, organizations, device)
    return open_model(folder / held, organizations=organizations, device=device)


def _of_compartments(folder: Path, organizations: Sequence[str] | None, device: str) -> tuple[Any, Any]:
    there = {path.name: path for path in sorted((folder / ADAPTERS).iterdir()) if path.is_dir()}
    chosen = tuple(there) if organizations is None else tuple(organizations)
    missing = [name for name in chosen if name not in there]
    if missing or not chosen:
        message = f"the run {folder} has no adapter of {', '.join(missing) or 'anybody'}: it has {', '.join(there)}"
        raise ModelError(message)
    source = json.loads((folder / RUN).read_text(encoding="utf-8"))["base"]
    base = open_base(source)
    model = load(base.folder, device_for(device))
    return combined(model, {name: there[name] for name in chosen}), base.tokenizer


def combined(model: Any, adapters: Mapping[str, Path]) -> Any:  # noqa: ANN401 - a model of transformers
    """`model` with the mean of the updates of several adapters, exactly: their factors stand side by side.

    By peft's `add_weighted_adapter` ("cat"). An adapter that is not named leaves no trace.
    """
    ordered = sorted(adapters.items())
    wrapped: Any = None
    for name, folder in ordered:
        if wrapped is None:
            wrapped = peft.PeftModel.from_pretrained(model, folder, adapter_name=name)
        else:
            wrapped.load_adapter(folder, adapter_name=name)
    names = [name for name, _ in ordered]
    wrapped.add_weighted_adapter(names, [1 / len(names)] * len(names), COMBINED, combination_type="cat")
    wrapped.set_adapter(COMBINED)
    for name in names:
        wrapped.delete_adapter(name)
    return wrapped.eval()


def _with_adapter(folder: Path, device: str) -> tuple[Any, Any]:
    try:
        source = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
        base = base_folder(str(source))
        config = transformers.AutoConfig.from_pretrained(base)
        require_causal(str(source), config)
        model = peft.PeftModel.from_pretrained(load(base, device_for(device)), folder)
        # A run keeps its tokenizer beside the adapter; other adapters may have none.
        own = folder if (folder / "tokenizer_config.json").is_file() else base
        tokenizer = transformers.AutoTokenizer.from_pretrained(own)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        message = f"the adapter {folder} cannot be opened ({error}): check its files and its base"
        raise ModelError(message) from error
    return model.eval(), tokenizer


def save(
    model: Any,  # noqa: ANN401 - as above
    folder: Path,
    source: str,
    precision: str = "float32",
    strength: float = 1.0,
) -> None:
    """Write a model, or of one with an adapter the adapter alone, whose base is then called `source`.

    With the precision "float16" `model` is rounded as well, and stays in float32: what is measured of it is what was
    written. So is an adapter that is weakened to `strength`, a share of its update.
    """
    if strength < 1:
        for name, one in model.named_parameters():
            if "lora_B" in name:
                one.data *= strength
    rounded = [one for one in model.parameters() if one.requires_grad] if precision == "float16" else []
    for one in rounded:
        one.data = one.data.half()
    try:
        _write(model, folder, source)
    finally:
        for one in rounded:
            one.data = one.data.float()


def _write(model: Any, folder: Path, source: str) -> None:  # noqa: ANN401 - as above
    if not isinstance(model, peft.PeftModel):
        model.save_pretrained(folder)
        return
    for config in model.peft_config.values():
        config.base_model_name_or_path = source
    # "auto" would ask the hub for a base of this name.
    model.save_pretrained(folder, save_embedding_layers=False)
