"""What a consortium asks of a model before it is released (TOML), and in what a model falls short. Measures nothing.

    [at_most]                 # of the whole model; the upper end of the interval counts
    extractable_32 = 0.01
    [at_least]                # the lower end counts
    edit_similarity = 0.3
    [by_org.at_most]          # of every organization that took part
    extractable_32 = 0.02
    [privacy]                 # the model must have been trained with it
    unit = "example"
    epsilon = 8.0
    delta = 1e-5

A measure is as good as its interval's worse end: a value of 0 on ten samples shows little.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import MeasurementError
from training.measurements import MeasureName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from training.measurements import Measure, Measurements

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)
Limit = Annotated[float, Field()]


class Limits(BaseModel):
    """Limits by measure."""

    model_config = _STRICT

    at_most: dict[MeasureName, Limit] = {}
    at_least: dict[MeasureName, Limit] = {}


class PrivacyLimits(BaseModel):
    """The weakest privacy that will do, for this unit."""

    model_config = _STRICT

    unit: Literal["example", "organization"]
    epsilon: float = Field(gt=0)
    delta: float = Field(gt=0, lt=1)


class Thresholds(Limits):
    """All that is asked."""

    by_org: Limits = Limits()
    privacy: PrivacyLimits | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked."""
        return not (self.at_most or self.at_least or self.by_org.at_most or self.by_org.at_least or self.privacy)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """One threshold that is not kept. `found` is the interval's end that counts, None where nothing was measured."""

    what: str
    limit: float
    found: float | None
    words: str

    def __str__(self) -> str:
        return self.words


def read_thresholds(path: Path) -> Thresholds:
    """Read the file.

    Raises:
        MeasurementError: it cannot be read, has a key that is none, or asks for nothing.
    """
    try:
        thresholds = Thresholds.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        message = f"the thresholds {path} cannot be read ({error.strerror}): name a TOML file (docs/releases.md)"
        raise MeasurementError(message) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        told = "is no key of thresholds" if first["type"] == "extra_forbidden" else first["msg"]
        message = f"the thresholds {path} cannot be read: {where}: {told} (docs/releases.md lists them)"
        raise MeasurementError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"the thresholds {path} are no TOML: {error}"
        raise MeasurementError(message) from error
    if thresholds.empty:
        message = f"the thresholds {path} ask for nothing: every model would pass, write what the consortium agreed on"
        raise MeasurementError(message)
    return thresholds


def shortfalls(
    thresholds: Thresholds, measurements: Measurements, organizations: Mapping[str, Any], privacy: object
) -> list[Shortfall]:
    """In what the model falls short, `organizations` being those that took part and `privacy` what run.json tells.

    Empty where every threshold is kept. What was not measured falls short.
    """
    found = list(_held(thresholds, measurements.measures, ""))
    for name in organizations:
        found += _held(thresholds.by_org, measurements.by_org.get(name, {}), f" of {name}")
    if thresholds.privacy is not None:
        found += _private(thresholds.privacy, privacy)
    return found


def _held(limits: Limits, measures: Mapping[str, Measure], whose: str) -> Iterator[Shortfall]:
    for name, limit in limits.at_most.items():
        measure = measures.get(name)
        if measure is None:
            yield _unmeasured(f"{name}{whose}", limit)
        elif measure.high > limit:
            yield _beyond(f"{name}{whose}", measure, measure.high, limit, "upper")
    for name, limit in limits.at_least.items():
        measure = measures.get(name)
        if measure is None:
            yield _unmeasured(f"{name}{whose}", limit)
        elif measure.low < limit:
            yield _beyond(f"{name}{whose}", measure, measure.low, limit, "lower")


def _unmeasured(what: str, limit: float) -> Shortfall:
    return Shortfall(what, limit, None, f"{what} was not measured; the limit is {limit:g}")


def _beyond(what: str, measure: Measure, end: float, limit: float, side: str) -> Shortfall:
    verb = "exceeds" if side == "upper" else "misses"
    return Shortfall(
        what,
        limit,
        end,
        f"{what} {verb} {limit:g} by {abs(end - limit):.4g}: {measure.value:.4g}, interval {measure.low:.4g} to "
        f"{measure.high:.4g} (n = {measure.n}), whose {side} end counts",
    )


def _private(limits: PrivacyLimits, privacy: object) -> Iterator[Shortfall]:
    """Raises nothing: what cannot be read was not spent as asked."""
    told = privacy if isinstance(privacy, dict) else {}
    if told.get("unit") != limits.unit:
        words = f"privacy: training protected {told.get('unit', 'nothing')}, and the unit asked for is {limits.unit}"
        yield Shortfall("privacy", limits.epsilon, None, words)
        return
    for name, limit in (("epsilon", limits.epsilon), ("delta", limits.delta)):
        spent = told.get(name)
        if not isinstance(spent, int | float) or isinstance(spent, bool) or not spent >= 0:
            yield _unmeasured(f"{name} of privacy", limit)
        elif spent > limit:
            words = f"{name} of privacy exceeds {limit:g} by {spent - limit:.4g}: {spent:g} was spent"
            yield Shortfall(name, limit, float(spent), words)
