"""Leaks as a viewer sees them, as values. Knows neither who looks nor where leaks are kept; holds no text of any."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from guard.types import Action, MatchKind, OwnerKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.types import Match

LONG_TOKENS = 100
"""Tokens of private code from which even an edited copy is grave: about a screenful."""


class Role(StrEnum):
    """On which side of a leak a viewer stands."""

    CALLER = "caller"
    OWNER = "owner"
    ADMIN = "admin"


class Severity(StrEnum):
    """How grave a leak is. The least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Disposition(StrEnum):
    """What a reviewer said of a leak; `open`: nothing yet."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"
    ACCEPTED_RISK = "accepted_risk"


def severity_of(matches: Sequence[Match]) -> Severity:
    """The gravest of these matches.

    High is private code to the letter or with other names, or LONG_TOKENS of it in any form; medium is less of it
    edited, and licensed code to the letter or with other names; low is licensed code edited.
    """
    return max((_severity(match) for match in matches), key=list(Severity).index, default=Severity.LOW)


def _severity(match: Match) -> Severity:
    if match.action is not Action.BLOCK:
        return Severity.LOW
    close = match.kind is not MatchKind.NEAR
    if match.owner.kind is OwnerKind.ORGANIZATION:
        return Severity.HIGH if close or match.tokens >= LONG_TOKENS else Severity.MEDIUM
    return Severity.MEDIUM if close else Severity.LOW


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

    def to_json(self) -> dict[str, Any]:
        """The leak as one JSON object."""
        return {**asdict(self), "matches": [asdict(match) for match in self.matches]}
