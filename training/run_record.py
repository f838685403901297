"""Reads what a run folder says of itself (run.json) and finds its weights. Trains nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry.manifest import Kind
from training.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN_FILE = "run.json"
PLAN_FILE = "plan.toml"
COMPARTMENTS = "adapters"


class _Told(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    regime: str | dict[str, Any]
    base: str | dict[str, Any]
    base_sha256: str
    orgs: dict[str, dict[str, Any]] = Field(min_length=1)
    code_version: str
    passes: float | None = None
    validation_loss: float | None = None
    seeds: Any = None
    privacy: dict[str, Any] | None = None
    started: str | None = None
    ended: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A finished run. `weights` is the folder with its model or adapter, or with the adapter of one `compartment`."""

    folder: Path
    kind: Kind
    weights: Path
    told: _Told
    compartment: str | None

    @property
    def base_name(self) -> str:
        """What the base is called, without the folders of the machine where it lay."""
        base = self.told.base
        name = base if isinstance(base, str) else str(base.get("name") or base.get("source") or "")
        # A hub id has one slash and does not begin with it.
        return Path(name).name if name.startswith(("/", ".", "~")) else name

    @property
    def organizations(self) -> Mapping[str, dict[str, Any]]:
        """What each organization contributed to these weights."""
        orgs = self.told.orgs
        return orgs if self.compartment is None else {self.compartment: orgs[self.compartment]}


def read_run(folder: Path, compartment: str | None = None) -> RunRecord:
    """The run in `folder`; of a compartmentalized one, the adapter of the organization `compartment`.

    Raises:
        ModelError: it is no run folder, has not ended, or has not one set of weights.
    """
    path = folder / RUN_FILE
    try:
        told = _Told.model_validate_json(path.read_bytes())
    except OSError as error:
        message = f"{folder} is no run folder ({RUN_FILE}: {error.strerror}): name what `cleanroom train` wrote"
        raise ModelError(message) from error
    except ValidationError as error:
        first = error.errors()[0]
        message = f"{path} cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise ModelError(message) from error
    if not told.ended:
        message = f"the run {folder} has not ended: `cleanroom train --resume` takes it up again"
        raise ModelError(message)
    if compartment is not None:
        weights = folder / COMPARTMENTS / compartment
        if compartment not in told.orgs or not weights.is_dir():
            message = f"the run {folder} has no compartment {compartment!r}: it has {', '.join(told.orgs)}"
            raise ModelError(message)
        return RunRecord(folder, Kind.ADAPTER, weights, told, compartment)
    kinds = [kind for kind in Kind if (folder / kind.value).is_dir()]
    if len(kinds) != 1:
        compartments = (folder / COMPARTMENTS).is_dir()
        remedy = "release each with --compartment ORG" if compartments else "name a run with model/ or adapter/"
        message = f"the run {folder} has not one set of weights to release: {remedy}"
        raise ModelError(message)
    return RunRecord(folder, kinds[0], folder / kinds[0].value, told, None)
