"""Entries of the ledger as values: what they say, how bad a leak is, heads of chains and the result of verifying.

Knows no database, no hashing, and no text: of a generation an entry has offsets and counts, of a document owner, path
and licence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from guard.errors import LedgerError
from guard.types import Action, MatchKind, OwnerKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.types import Decision, Match

# The hash that stands before the first entry of a chain.
GENESIS = "0" * 64
FIRST_WRITER = "first"
"""The chain of entries from before each process had its own."""
DISPOSITIONS = frozenset({"released", "cited", "steered", "trimmed", "withheld", "interrupted"})
SEVERITIES = ("low", "medium", "high")
# Some six lines: what the evidence of the match itself bears, not what surrounds it.
LONG = 60
CLOSENESS = {MatchKind.EXACT: 2, MatchKind.RENAMED: 1, MatchKind.NEAR: 0}


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """What became of one generation: the guard's decision, for whom it was made and what was let out.

    `org` is the caller's, "" where that was redacted; `surface` the endpoint; `disposition` one of DISPOSITIONS; the
    counts are characters. `model` is the name that clients see, `release` the signed release behind it (name@version
    and digest), None where the model is none: a leak is traced to a model by it. `policy` is the digest of the
    caller's licence policy, None where it was not noted.
    """

    decision: Decision
    org: str
    key_id: str | None
    model: str
    surface: str
    disposition: str
    released_characters: int
    generated_characters: int
    release: str | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        """Hold the vocabulary."""
        if self.disposition not in DISPOSITIONS:
            message = f"{self.disposition!r} is no disposition: use one of {', '.join(sorted(DISPOSITIONS))}"
            raise LedgerError(message)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON; holds no text of the generation."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "decision": self.decision.to_json()}


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """Something else that auditors must see: `event` names it, `details` (JSON) say more.

    `id` names it among all entries, for good. `org` and `actor` (a key's id, or who it was) are who did it, "" and None
    where that is nobody's business or was redacted.
    """

    event: str
    id: str
    details: Mapping[str, Any]
    org: str = ""
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """An entry's place: `seq` in its database, `number` in the chain of `writer`, from 1.

    `at` is when it was written, UTC, ISO 8601; the hashes are hex SHA-256. `redacted` are the parts that were taken
    out since: `caller`, `content`.
    """

    seq: int
    writer: str
    number: int
    at: str
    previous: str
    hash: str
    redacted: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The place as one JSON object."""
        return {name: getattr(self, name) for name in self.__slots__} | {"redacted": list(self.redacted)}


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A record in its place."""

    place: Place
    record: LedgerRecord

    @property
    def seq(self) -> int:
        """The entry's place in its database."""
        return self.place.seq

    @property
    def at(self) -> str:
        """When it was written."""
        return self.place.at

    @property
    def hash(self) -> str:
        """What binds it and all before it in its chain."""
        return self.place.hash

    def to_json(self) -> dict[str, Any]:
        """The entry as one JSON object."""
        return {**self.place.to_json(), **self.record.to_json()}


@dataclass(frozen=True, slots=True)
class EventEntry:
    """An event in its place."""

    place: Place
    event: LedgerEvent

    def to_json(self) -> dict[str, Any]:
        """The entry as one JSON object."""
        fields = {name: getattr(self.event, name) for name in self.event.__slots__}
        return {**self.place.to_json(), **fields}


@dataclass(frozen=True, slots=True, order=True)
class Head:
    """A chain's length and last hash. Kept elsewhere, it shows later that nothing up to it was changed or cut."""

    writer: str
    entries: int
    hash: str

    def __str__(self) -> str:
        return f"{self.writer}:{self.entries}:{self.hash}"


@dataclass(frozen=True, slots=True, order=True)
class Break:
    """Where a chain is broken: `number` is the first entry that is not as it was written."""

    writer: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether all chains hold. `entries` were found sound, up to `heads`, one a chain; `breaks`, one a broken chain.

    `beyond` counts sound entries that no given head vouches for.
    """

    entries: int
    heads: tuple[Head, ...]
    breaks: tuple[Break, ...] = field(default=())
    beyond: int = 0

    @property
    def ok(self) -> bool:
        """Whether no chain is broken."""
        return not self.breaks


def severity(decision: Decision) -> str | None:
    """How bad what was cited or blocked would have been; None where nothing was.

    `high`: private code, LONG tokens or more of it and not merely near. `medium`: other private code, and licensed code
    of that size that was blocked. `low`: the rest, citations too. The tokens are those found in the document, so an
    alignment counts by its similarity. A block that names no match is `medium`.
    """
    if decision.action is Action.ALLOW:
        return None
    matches = [match for match in decision.matches if match.action is not Action.ALLOW]
    if not matches:
        return SEVERITIES[decision.action is Action.BLOCK]
    return SEVERITIES[max(map(_severity, matches))]


def _severity(match: Match) -> int:
    if match.action is not Action.BLOCK:
        return 0
    large = match.tokens * match.similarity >= LONG and match.kind is not MatchKind.NEAR
    return large + (match.owner.kind is OwnerKind.ORGANIZATION)


def closest(decision: Decision) -> str | None:
    """The closest kind of a decision's matches; None without any."""
    return max((match.kind for match in decision.matches), key=CLOSENESS.__getitem__, default=None)
