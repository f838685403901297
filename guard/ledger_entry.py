"""Entries of the ledger: what they hold, their canonical form, and the chain that binds them.

Knows no database, and no text: of a generation an entry has offsets and counts, of a document owner, path and licence.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from guard.errors import LedgerError, OwnerError
from guard.types import Action, Decision, Match, MatchKind, Owner

SCHEMA = 2
"""1, of before models had releases, is read as well."""
# The hash that stands before the first entry.
GENESIS = "0" * 64
DISPOSITIONS = frozenset({"released", "cited", "steered", "trimmed", "withheld", "interrupted"})


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """What became of one generation: the guard's decision, for whom it was made and what was let out.

    `org` is the caller's; `surface` the endpoint; `disposition` one of DISPOSITIONS; the counts are characters. `model`
    is the name that clients see, `release` the signed release behind it (name@version and digest), None where the model
    is none: a leak is traced to a model by it.
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
class LedgerEntry:
    """A record in its place in the chain. `at` is when it was written, UTC, ISO 8601; the hashes are hex SHA-256."""

    seq: int
    at: str
    record: LedgerRecord
    previous: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        """The entry as one JSON object."""
        chain = {"seq": self.seq, "at": self.at, "previous": self.previous, "hash": self.hash}
        return {**chain, **self.record.to_json()}


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's length and last hash. Kept elsewhere, it shows later that nothing up to it was changed or cut."""

    entries: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the chain holds. `entries` were found sound, up to `head`; `first_broken` is a sequence number."""

    ok: bool
    entries: int
    first_broken: int | None
    reason: str | None
    head: Head


def canonical_entry(seq: int, at: str, record: LedgerRecord) -> str:
    """The canonical JSON of an entry: sorted keys, no spaces, UTF-8, no NaN.

    A lone surrogate (of an undecodable path) is escaped, as JSON can.
    """
    value = {"schema": SCHEMA, "seq": seq, "at": at, **record.to_json()}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def chained_hash(previous: str, body: str) -> str:
    """The hash of an entry whose canonical JSON is `body`, after the hash `previous`; both hex."""
    return sha256(bytes.fromhex(previous) + body.encode("utf-8", "surrogateescape")).hexdigest()


def read_entry(seq: int, body: str, previous: str, digest: str) -> LedgerEntry:
    """Read what `canonical_entry` wrote, or raise LedgerError."""
    try:
        data = json.loads(body)
        return LedgerEntry(data["seq"], data["at"], _record(data), previous, digest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, LedgerError, OwnerError) as error:
        message = f"entry {seq} of the ledger is no record: run `cleanroom ledger verify` and restore a backup"
        raise LedgerError(message) from error


def _record(data: dict[str, Any]) -> LedgerRecord:
    if data["schema"] == 1:
        data = {**data, "release": None}
    elif data["schema"] != SCHEMA:
        message = f"schema {data['schema']!r} is not {SCHEMA}: use the version of Cleanroom that wrote it"
        raise LedgerError(message)
    fields = {name: data[name] for name in LedgerRecord.__slots__}
    decision = fields["decision"]
    matches = tuple(_match(match) for match in decision["matches"])
    fields["decision"] = Decision(**{**decision, "action": Action(decision["action"]), "matches": matches})
    return LedgerRecord(**fields)


def _match(data: dict[str, Any]) -> Match:
    kind, action, owner = MatchKind(data["kind"]), Action(data["action"]), Owner.parse(data["owner"])
    return Match(**{**data, "kind": kind, "action": action, "owner": owner})
