"""A run that keeps to its thresholds, and who releases it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from samples.released import key_in
from samples.runs import THRESHOLDS, measurements, run_folder

from registry.releases import Release, Releases
from training.gate import Submission, create

if TYPE_CHECKING:
    from pathlib import Path

    from registry.keys import SigningKey


@dataclass
class Gate:
    """A run to be released, and who releases it."""

    folder: Path
    releases: Releases
    key: SigningKey
    submission: Submission

    def create(self, **changes: object) -> Release:
        self.said: list[str] = []
        submission = replace(self.submission, **changes)
        return create(submission, self.releases, self.key, frozenset({self.key.public}), self.said.append)

    def measured(self, **changes: object) -> list[Path]:
        return [measurements(self.submission.run / "model", self.folder / "other.json", **changes)]

    def asked(self, text: str) -> Path:
        path = self.folder / "other.toml"
        path.write_text(text)
        return path


def gate_in(folder: Path) -> Gate:
    """A run in `folder`, measured, with thresholds and a key."""
    run = run_folder(folder / "run")
    (folder / "thresholds.toml").write_text(THRESHOLDS)
    told = measurements(run / "model", folder / "measured.json")
    submission = Submission(run, "small", folder / "thresholds.toml", [told])
    return Gate(folder, Releases(folder / "home"), key_in(folder), submission)
