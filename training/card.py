"""The card of a model: who contributed what, how it was trained, what was measured, what was asked. Judges nothing.

card.json is for programs, README.md says the same for people. Neither holds code, nor paths of a machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.measurements import Measure, Measurements
    from training.run_record import RunRecord
    from training.thresholds import Limits, Thresholds

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Card:
    """What a card tells. `parent` is the release that training went on from, as name@version."""

    name: str
    run: RunRecord
    measurements: Measurements
    thresholds: Thresholds
    plan: bytes
    parent: str | None

    def to_json(self) -> dict[str, Any]:
        """The card as one JSON object."""
        told = self.run.told
        return {
            "format": FORMAT,
            "name": self.name,
            "run": told.name,
            "kind": self.run.kind.value,
            "regime": told.regime,
            "compartment": self.run.compartment,
            "base": self.run.base_name,
            "organizations": dict(self.run.organizations),
            "plan_sha256": hashlib.sha256(self.plan).hexdigest(),
            "passes": told.passes,
            "validation_loss": told.validation_loss,
            "seeds": told.seeds,
            "privacy": told.privacy,
            "code_version": told.code_version,
            "released_by": f"cleanroom {version('cleanroom')}",
            "started": told.started,
            "ended": told.ended,
            "parent": self.parent,
            "measured_sha256": self.measurements.model_sha256,
            "measures": {name: one.model_dump() for name, one in self.measurements.measures.items()},
            "by_org": {
                org: {name: one.model_dump() for name, one in told.items()}
                for org, told in self.measurements.by_org.items()
            },
            "thresholds": self.thresholds.model_dump(),
        }

    def to_markdown(self) -> str:
        """The card for people."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        told, privacy = self.run.told, self.run.told.privacy
        regime = told.regime if isinstance(told.regime, str) else str(told.regime.get("kind", ""))
        yield f"# {self.name}"
        yield ""
        yield f"Code model, {self.run.kind.value} on `{self.run.base_name}`, trained {regime}."
        yield ""
        yield "| organization | examples | tokens | corpus (SHA-256) |"
        yield "|---|---|---|---|"
        for org, one in self.run.organizations.items():
            digest = str(one.get("corpus_sha256", ""))[:16]
            yield f"| {org} | {one.get('examples', '')} | {one.get('tokens', '')} | `{digest}` |"
        yield ""
        yield f"- Run: {told.name}, {told.started} to {told.ended}, by {told.code_version}"
        yield f"- Passes: {told.passes}; validation loss: {told.validation_loss}"
        yield f"- Privacy: {_privacy(privacy)}"
        yield f"- Parent: {self.parent or 'none'}"
        yield ""
        yield "| measure | of | value | interval | n | limit |"
        yield "|---|---|---|---|---|---|"
        yield from self._rows("all", self.measurements.measures, self.thresholds)
        for org, measures in self.measurements.by_org.items():
            yield from self._rows(org, measures, self.thresholds.by_org)

    @staticmethod
    def _rows(whose: str, measures: dict[str, Measure], limits: Limits) -> Iterator[str]:
        for name, one in sorted(measures.items()):
            asked = [f"at most {limits.at_most[name]:g}"] if name in limits.at_most else []
            asked += [f"at least {limits.at_least[name]:g}"] if name in limits.at_least else []
            interval = f"{one.low:.4g} to {one.high:.4g}"
            yield f"| {name} | {whose} | {one.value:.4g} | {interval} | {one.n} | {', '.join(asked)} |"


def _privacy(privacy: dict[str, Any] | None) -> str:
    if not privacy:
        return "not differentially private"
    return f"epsilon {privacy.get('epsilon')} at delta {privacy.get('delta')}, unit: {privacy.get('unit')}"
