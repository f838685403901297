"""Trees that are taken into an index, and what stands there afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samples.indexed import ACME

if TYPE_CHECKING:
    from pathlib import Path

    from guard.ingest import IndexAddress
    from guard.types import Owner


class StopError(Exception):
    """What a test raises to interrupt a run."""


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def paths(address: IndexAddress, owner: Owner = ACME) -> set[str]:
    with address.opened() as (index, _):
        return set(index.paths(owner))
