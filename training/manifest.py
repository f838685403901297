"""What a corpus consists of, in numbers: the file beside its examples that says how it was made. Holds no source."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from training.examples import SHARES, Kind, Split

if TYPE_CHECKING:
    from training.examples import Example

FORMAT = 1
"""Rises with every change of the examples' fields or of how they are drawn."""


@dataclass(slots=True)
class SplitCount:
    """One split: examples by kind, their characters, and the digest of the file that holds them."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    characters: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, example: Example, line: bytes) -> None:
        """Count one example and the line that it became."""
        self.kinds[example.kind] += 1
        self.characters += len(example.prefix) + len(example.middle) + len(example.suffix)
        self.digest.update(line)

    def to_json(self) -> dict[str, Any]:
        """The numbers."""
        return {
            "examples": self.kinds.total(),
            **{kind.value: self.kinds[kind] for kind in Kind},
            "characters": self.characters,
            "sha256": self.digest.hexdigest(),
        }


@dataclass(slots=True)
class Manifest:
    """A corpus in numbers. `left_out` counts files by reason. The same trees and plan give the same manifest."""

    plan: dict[str, Any]
    splits: dict[Split, SplitCount] = field(default_factory=lambda: {split: SplitCount() for split in Split})
    languages: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, split: Split, example: Example, line: bytes) -> None:
        """Count one example."""
        self.splits[split].add(example, line)
        self.languages[example.language] += 1
        self.licenses[example.license] += 1

    @property
    def examples(self) -> int:
        """Examples in all splits."""
        return self.languages.total()

    def to_json(self) -> dict[str, Any]:
        """The manifest as one JSON object."""
        return {
            "format": FORMAT,
            "code_version": f"cleanroom {version('cleanroom')}",
            "plan": self.plan,
            "shares": {split.value: share for split, share in SHARES.items()},
            "splits": {split.value: count.to_json() for split, count in self.splits.items()},
            "languages": dict(sorted(self.languages.items())),
            "licenses": dict(sorted(self.licenses.items())),
            "left_out": dict(sorted(self.left_out.items())),
        }

    def to_text(self) -> str:
        """The manifest as it stands in its file."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"
