"""The gate between a run and a release: held to the thresholds, put together, signed. Trains and measures nothing.

What is released is safetensors, JSON and text: a format that runs code when it is read (pickle) is refused.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from published.packaged import find_packaged
from registry.canonical import canonical
from registry.manifest import ADAPTER_GGUF, CARD, PACKAGED, TRAPPINGS, Base, Kind, Parent
from registry.releases import discard
from registry.tree import UNMEASURED, file_digest, files_of, folder_digest
from registry.weights import weights_digest
from training.base_files import base_digest
from training.card import Card
from training.errors import ModelError, RefusedReleaseError, UnsupportedAdapterError
from training.gguf_adapter import write_gguf_adapter
from training.measurements import read_measurements
from training.run_record import PLAN_FILE, RUN_FILE, read_run
from training.thresholds import read_thresholds, shortfalls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.keys import PublicKey, SigningKey
    from registry.releases import Release, Releases
    from training.measurements import Measurements
    from training.run_record import RunRecord
    from training.thresholds import Thresholds

ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
_PLAIN: Final = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".jsonl"})
_TOKENIZER: Final = ("tokenizer.json", "tokenizer.model", "vocab.json")
_TRAPPINGS: Final = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
README: Final = "README.md"
THRESHOLDS_FILE: Final = "thresholds.toml"


@dataclass(frozen=True, slots=True)
class Submission:
    """What is to be released, as what, and by what it is judged.

    `base` is the folder of the model that an adapter was trained on, None where the adapter says; `base_gguf` the same
    model for llama.cpp, None where there is none or it is the packaged one; `parent` a release as name@version;
    `compartment` the organization whose adapter of a compartmentalized run is meant.
    """

    run: Path
    name: str
    thresholds: Path
    measurements: Sequence[Path]
    base: Path | None = None
    base_gguf: Path | None = None
    parent: str | None = None
    compartment: str | None = None


def create(
    submission: Submission,
    releases: Releases,
    key: SigningKey,
    trusted: frozenset[PublicKey],
    say: Callable[[str], None],
) -> Release:
    """Judge, put together, sign and publish; `say` is told what the release will lack.

    Raises:
        RefusedReleaseError: the model falls short of the thresholds; the message has every point, and by how much.
        MeasurementError: thresholds or measurements cannot be read, or are about another model.
        ModelError: the run has not what a release needs.
        RegistryError: the parent is no release, or the release cannot be written.
    """
    run = read_run(submission.run, submission.compartment)
    if submission.base is not None:
        _require_trained_on(run, submission.base)
    thresholds, measurements = _judged(submission, run)
    parent = _parent(submission.parent or run.told.parent, releases, trusted | {key.public})
    plan = _plan(run)
    draft = releases.draft_folder(submission.name)
    try:
        _copy_weights(run, draft / run.kind.value)
        base = _lay_base(run, submission, draft, say) if run.kind is Kind.ADAPTER else None
        card = Card(submission.name, run, measurements, thresholds, plan, parent.release if parent else None)
        (draft / CARD).write_bytes(canonical(card.to_json()))
        (draft / README).write_text(card.to_markdown(), encoding="utf-8")
        (draft / PLAN_FILE).write_bytes(plan)
        shutil.copyfile(submission.thresholds, draft / THRESHOLDS_FILE)
        # Copied and hashed apart: what changed meanwhile was not measured.
        if folder_digest(run.weights) != measurements.model_sha256:
            message = f"{run.weights} changed while it was released: measure it again"
            raise ModelError(message)
        return releases.publish(draft, submission.name, run.kind, key, base=base, parent=parent)
    except OSError as error:
        message = f"{error.filename or draft} cannot be read or written ({error.strerror}): see space and rights"
        raise ModelError(message) from error
    finally:
        discard(draft)


def _judged(submission: Submission, run: RunRecord) -> tuple[Thresholds, Measurements]:
    """What was asked and what was measured, where the one is kept by the other."""
    thresholds = read_thresholds(submission.thresholds)
    measurements = read_measurements(submission.measurements, folder_digest(run.weights))
    found = shortfalls(thresholds, measurements, run.organizations, run.told.privacy)
    if found:
        points = "".join(f"\n  {one}" for one in found)
        message = f"{submission.run} is not released: {len(found)} of the thresholds are not kept{points}"
        raise RefusedReleaseError(message)
    return thresholds, measurements


def _parent(name: str | None, releases: Releases, trusted: frozenset[PublicKey]) -> Parent | None:
    """The release that training went on from, verified: a card that leads to nothing traces nothing."""
    if name is None:
        return None
    release = releases.verify(releases.find(name), trusted)
    return Parent(str(release.name), release.digest)


def _plan(run: RunRecord) -> bytes:
    try:
        return (run.folder / PLAN_FILE).read_bytes()
    except OSError as error:
        message = f"the run {run.folder} has no {PLAN_FILE} ({error.strerror}): name what `cleanroom train` wrote"
        raise ModelError(message) from error


def _copy_weights(run: RunRecord, target: Path) -> None:
    files = {name: path for name, path in files_of(run.weights).items() if name != UNMEASURED}
    for name, path in files.items():
        if path.suffix not in _PLAIN:
            message = f"{path} is of a kind that releases do not hold (allowed: {', '.join(sorted(_PLAIN))}): remove it"
            raise ModelError(message)
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    needed = ADAPTER_WEIGHTS if run.kind is Kind.ADAPTER else "config.json"
    if needed not in files or not any(name.endswith(".safetensors") for name in files):
        message = f"{run.weights} has no {needed} with weights as safetensors: save it with safe serialization"
        raise ModelError(message)
    if run.kind is Kind.MODEL and not any(name in files for name in _TOKENIZER):
        message = f"{run.weights} has no tokenizer: save the tokenizer beside the model"
        raise ModelError(message)


def _require_trained_on(run: RunRecord, folder: Path) -> None:
    """Refuse a base that is not, file by file, the one that the run began with: an adapter says nothing on another."""
    if not (folder / "config.json").is_file():
        message = f"the base {str(folder)!r} of {run.weights} is no folder with a model: name it with --base"
        raise ModelError(message)
    try:
        found = base_digest(folder)
    except OSError as error:
        message = f"the base {folder} cannot be read ({error.strerror}): name it with --base"
        raise ModelError(message) from error
    if found != run.told.base_sha256:
        message = (
            f"{folder} is not the base that {run.folder} was trained on (sha256 over its files {found[:16]}..., in "
            f"{RUN_FILE} {run.told.base_sha256[:16]}...): name that one with --base, with the files it had"
        )
        raise ModelError(message)


def _base_folder(name: str) -> Path:
    """Where the base lies that an adapter names: a folder, or what training unpacks or fetches by that name."""
    if Path(name).is_dir():
        return Path(name)
    try:
        # It imports PyTorch, which a release of a whole model does not need.
        from training.base import base_folder  # noqa: PLC0415
    except ImportError:
        message = f"the base {name!r} is no folder here: name it with --base"
        raise ModelError(message) from None
    return base_folder(name)


def _lay_base(run: RunRecord, submission: Submission, draft: Path, say: Callable[[str], None]) -> Base:
    """Put the base's configuration and tokenizer into the draft, and the adapter for llama.cpp if it can be made."""
    adapter = draft / Kind.ADAPTER.value
    config = json.loads((adapter / ADAPTER_CONFIG).read_bytes())
    folder = submission.base
    if folder is None:
        folder = _base_folder(str(config.get("base_model_name_or_path") or ""))
        _require_trained_on(run, folder)
    name = run.base_name or folder.name
    # Where the base lay is a matter of that machine.
    (adapter / ADAPTER_CONFIG).write_text(json.dumps(config | {"base_model_name_or_path": name}, indent=2))
    trappings = draft / TRAPPINGS
    trappings.mkdir()
    own_tokenizer = any((run.weights / one).is_file() for one in _TOKENIZER)
    for one in _TRAPPINGS:
        source = folder if one in {"config.json", "generation_config.json"} or not own_tokenizer else run.weights
        if (source / one).is_file():
            shutil.copyfile(source / one, trappings / one)
    if not any((trappings / one).is_file() for one in _TOKENIZER):
        message = f"neither {run.weights} nor {folder} has a tokenizer: save it beside one of them"
        raise ModelError(message)
    gguf = submission.base_gguf or (find_packaged() if name == PACKAGED else None)
    try:
        write_gguf_adapter(adapter, trappings / "config.json", draft / ADAPTER_GGUF)
    except UnsupportedAdapterError as error:
        say(f"without {ADAPTER_GGUF}: {error}")
    return Base(name, weights_digest(folder), file_digest(gguf.resolve())[0] if gguf is not None else None)
