"""The answer of a measurement: named measures over all, by organization and by class of clone. Knows no model.

Its JSON is what reports, model cards and the release gate read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from registry import tree
from registry.errors import UnverifiedError
from training.errors import PlanError

if TYPE_CHECKING:
    from pathlib import Path

    from training.memorization.intervals import Estimate

FORMAT = 1
_WEIGHTS = ("model", "adapter", "adapters")
"""Where a run folder keeps what was trained."""


@dataclass(slots=True)
class Measures:
    """Measures by name, each an estimate with words that say what was counted."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, estimate: Estimate | None, **told: str | float) -> None:
        """Enter a measure; one that could not be taken is left out."""
        if estimate is not None and all(map(math.isfinite, (estimate.value, estimate.low, estimate.high))):
            self.rows[name] = {**estimate.to_json(), **told}


@dataclass(slots=True)
class Measurement:
    """All measures of one model. `settings` says how they were taken, `curves` holds what is drawn and not compared."""

    model: str
    model_sha256: str
    precision: str
    settings: dict[str, Any] = field(default_factory=dict)
    measures: Measures = field(default_factory=Measures)
    by_org: dict[str, Measures] = field(default_factory=dict)
    by_class: dict[str, Measures] = field(default_factory=dict)
    by_org_class: dict[str, dict[str, Measures]] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, organization: str | None, kind: str | None) -> Measures:
        """Where the measures of an organization (None: all) and a class of clone (None: all) stand."""
        if organization is None:
            return self.measures if kind is None else self.by_class.setdefault(kind, Measures())
        if kind is None:
            return self.by_org.setdefault(organization, Measures())
        return self.by_org_class.setdefault(organization, {}).setdefault(kind, Measures())

    def to_json(self) -> dict[str, Any]:
        """The measurement as one JSON object."""
        return {
            "format": FORMAT,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "precision": self.precision,
            "code_version": f"cleanroom {version('cleanroom')}",
            "settings": self.settings,
            "measures": self.measures.rows,
            "by_org": {name: some.rows for name, some in self.by_org.items()},
            "by_class": {name: some.rows for name, some in self.by_class.items()},
            "by_org_class": {
                name: {kind: some.rows for kind, some in kinds.items()} for name, kinds in self.by_org_class.items()
            },
            "curves": self.curves,
            "notes": self.notes,
        }


def weights_folder(model: Path) -> Path:
    """The folder of a run folder that holds what was trained; of another folder, itself."""
    if (model / "run.json").is_file():
        for name in _WEIGHTS:
            if (model / name).is_dir():
                return model / name
    return model


def folder_digest(folder: Path) -> str:
    """What identifies the weights in a folder, as releases know them.

    Raises PlanError where there is no such folder, or it is empty.
    """
    try:
        if not tree.files_of(folder):
            raise FileNotFoundError
        return tree.folder_digest(folder)
    except (OSError, UnverifiedError):
        message = f"{folder} holds no model that can be read: name a run folder, a checkpoint or an adapter"
        raise PlanError(message) from None
