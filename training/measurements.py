"""Measurements of a model, as `cleanroom memorization measure` and `evaluate` print them. Measures nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MeasureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Measure(BaseModel):
    """A value with the ends of its interval and the number of samples; more may stand beside them."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, frozen=True)

    value: float
    low: float
    high: float
    n: int = Field(ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> Measure:
        if not self.low <= self.value <= self.high:
            message = f"the value {self.value} is not within its interval, {self.low} to {self.high}"
            raise ValueError(message)
        return self


class Measurements(BaseModel):
    """All that was measured of one model, in all and by organization. `model_sha256`: `registry.tree.folder_digest`."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, frozen=True)

    format: Literal[1]
    model_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    measures: dict[MeasureName, Measure]
    by_org: dict[str, dict[MeasureName, Measure]] = {}


def read_measurements(paths: Sequence[Path], model_sha256: str) -> Measurements:
    """All measurements in these files, of the model with this digest.

    Raises:
        MeasurementError: a file cannot be read, is about another model, or measures what another one has measured.
    """
    measures: dict[str, Measure] = {}
    by_org: dict[str, dict[str, Measure]] = {}
    for path in paths:
        found = _read(path)
        if found.model_sha256 != model_sha256:
            message = (
                f"{path} is about the model {found.model_sha256[:16]}, not {model_sha256[:16]}: measure the model that "
                "is to be released"
            )
            raise MeasurementError(message)
        _add(path, measures, found.measures)
        for org, told in found.by_org.items():
            _add(path, by_org.setdefault(org, {}), told)
    return Measurements(format=1, model_sha256=model_sha256, measures=measures, by_org=by_org)


def _read(path: Path) -> Measurements:
    try:
        return Measurements.model_validate_json(path.read_bytes())
    except OSError as error:
        message = f"the measurements {path} cannot be read ({error.strerror}): `cleanroom memorization measure --json`"
        raise MeasurementError(message) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        message = f"the measurements {path} cannot be read: {where}: {first['msg']}"
        raise MeasurementError(message) from error


def _add(path: Path, held: dict[str, Measure], told: dict[str, Measure]) -> None:
    if twice := held.keys() & told.keys():
        message = f"{path} measures {min(twice)}, which another file has: which one counts? name one of them"
        raise MeasurementError(message)
    held.update(told)
