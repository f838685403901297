"""Writes a verified release in the form that other engines load. Verifies the base, and nothing else."""

from __future__ import annotations

import shutil
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from registry.manifest import ADAPTER_GGUF, TRAPPINGS, Kind
from registry.weights import weights_digest
from training.errors import DestinationError, ModelError
from training.merging import merge

if TYPE_CHECKING:
    from registry.releases import Release


class Form(StrEnum):
    """What a release is exported as."""

    MERGED = "merged"
    ADAPTER = "adapter"
    GGUF = "gguf"


def export(release: Release, form: Form, out: Path, base: Path | None) -> None:
    """Write `release` to `out`, whole or not at all; `base` is needed where an adapter is merged.

    Raises:
        DestinationError: `out` exists or cannot be written.
        ModelError: the release has no such form, or the base is another one.
    """
    if out.exists():
        message = f"{out} exists: name another, nothing is overwritten"
        raise DestinationError(message)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".export-", dir=out.parent))
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}): name another place"
        raise DestinationError(message) from error
    try:
        _write(release, form, draft / "out", base)
        (draft / "out").rename(out)
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}): free space, or name another place"
        raise DestinationError(message) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(release: Release, form: Form, out: Path, base: Path | None) -> None:
    manifest = release.manifest
    if form is Form.MERGED and manifest.kind is Kind.MODEL:
        _copy(release.weights, out)
    elif form is Form.MERGED:
        if manifest.base is None or base is None or weights_digest(base) != manifest.base.weights_sha256:
            message = (
                f"merging {release.name} takes its base {manifest.base and manifest.base.name!r}: name it with --base"
            )
            raise ModelError(message)
        merge(base, release.weights, release.folder / TRAPPINGS, out)
    elif manifest.kind is Kind.MODEL or (form is Form.GGUF and ADAPTER_GGUF not in manifest.files):
        message = f"the release {release.name} has no {form}: see `cleanroom release show {release.name}`"
        raise ModelError(message)
    elif form is Form.GGUF:
        shutil.copyfile(release.folder / ADAPTER_GGUF, out)
    else:
        _copy(release.weights, out)


def _copy(source: Path, out: Path) -> None:
    """Copy a folder without its read-only modes."""
    out.mkdir()
    for path in source.rglob("*"):
        place = out / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
