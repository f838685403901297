"""Leaks as a viewer sees them, as values. Knows neither who looks nor where leaks are kept; holds no text of any."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from guard.ledger_entry import CLOSENESS
from guard.types import MatchKind


class Role(StrEnum):
    """On which side of a leak a viewer stands."""

    CALLER = "caller"
    OWNER = "owner"
    ADMIN = "admin"


class Severity(StrEnum):
    """How grave a leak is, as the ledger says it (guard.ledger_entry). The least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Disposition(StrEnum):
    """What a reviewer said of a leak; `open`: nothing yet."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"
    ACCEPTED_RISK = "accepted_risk"


@dataclass(frozen=True, slots=True)
class LeakMatch:
    """A span of the generation that stands in somebody's code; None where the viewer may not know whose.

    `start` and `end` are characters of the generation, `tokens` those of the whole alignment, `similarity` 0 to 1.
    """

    kind: str
    start: int
    end: int
    tokens: int
    similarity: float
    action: str
    private: bool
    owner: str | None
    document: str | None
    license: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Leak:
    """A generation that the guard blocked. `org` and `key` are the caller's, None where the viewer may not know them.

    `outcome` is what became of the generation: `steered`, `trimmed`, `withheld` or `interrupted`. `entry`, `hash` and
    `index_version` tell how much everybody asks and indexes, and so are told to administrators alone.
    """

    id: str
    at: str
    role: Role
    severity: Severity
    disposition: str
    org: str | None
    key: str | None
    model: str
    release: str | None
    surface: str
    outcome: str
    released_characters: int
    generated_characters: int
    checked_tokens: int
    matches: tuple[LeakMatch, ...]
    entry: int | None = None
    hash: str | None = None
    index_version: int | None = None

    @property
    def kind(self) -> str | None:
        """The kind of the closest match; None without any."""
        return max((match.kind for match in self.matches), key=lambda kind: CLOSENESS[MatchKind(kind)], default=None)

    def to_json(self) -> dict[str, Any]:
        """The leak as one JSON object."""
        return {**asdict(self), "matches": [asdict(match) for match in self.matches]}
