"""Reads rows of the ledger's tables back into entries, of the schema of today and of those before. Writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from guard.errors import LedgerError, OwnerError
from guard.ledger_entry import EventEntry, LedgerEntry, LedgerEvent, LedgerRecord, Place
from guard.ledger_form import SCHEMA
from guard.types import Action, Decision, Match, MatchKind, Owner

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from sqlalchemy import Row

T = TypeVar("T")
Columns: TypeAlias = "Row[Any] | SimpleNamespace"
"""A row of `entry_table`, or what is about to become one."""
WRONG = (ValueError, KeyError, TypeError, AttributeError, RecursionError, LedgerError, OwnerError)
"""What reading something raises that was no entry."""
OLD_SCHEMAS = (1, 2)


def read_entry(row: Columns) -> LedgerEntry:
    """The decision in a row of `entry_table`, or LedgerError."""
    return _read(row, lambda: LedgerEntry(_place(row), _record(row)))


def read_event(row: Columns) -> EventEntry:
    """The event in a row of `entry_table`, or LedgerError."""
    return _read(row, lambda: EventEntry(_place(row), _event(row)))


def read_body(body: str) -> LedgerRecord:
    """The record of an entry of an old schema, whose canonical JSON was stored whole, or one of WRONG."""
    return _body_record(json.loads(body))


def matches_of(content: str | None) -> tuple[Match, ...]:
    """The matches that an entry's content names."""
    return () if content is None else tuple(_match(match) for match in json.loads(content)["matches"])


def _read(row: Columns, read: Callable[[], T]) -> T:
    try:
        return read()
    except WRONG as error:
        message = (
            f"entry {row.number} of the ledger's chain {row.writer} is no record: run `cleanroom ledger verify` and "
            "restore a backup"
        )
        raise LedgerError(message) from error


def _place(row: Columns) -> Place:
    return Place(row.seq, row.writer, row.number, row.at, row.previous, row.hash, redacted(row))


def redacted(row: Columns) -> tuple[str, ...]:
    """The parts that were taken out of a row."""
    if row.schema in OLD_SCHEMAS:
        return ("caller", "content") if row.body is None else ()
    caller = ("caller",) if row.caller_salt is None else ()
    return (*caller, "content") if row.content is None and row.content_digest is not None else caller


def _record(row: Columns) -> LedgerRecord:
    if row.schema in OLD_SCHEMAS and row.body is not None:
        return read_body(row.body)
    if row.schema not in (*OLD_SCHEMAS, SCHEMA):
        message = f"schema {row.schema!r} is not {SCHEMA}: use the version of Cleanroom that wrote it"
        raise LedgerError(message)
    decision = Decision(
        id=row.decision_id,
        action=Action(row.action),
        matches=matches_of(row.content),
        checked_tokens=row.checked_tokens,
        guard_ms=row.guard_us / 1000,
        index_version=row.index_version,
    )
    return LedgerRecord(
        decision=decision,
        org=row.org or "",
        key_id=row.key_id,
        model=row.model,
        surface=row.surface,
        disposition=row.disposition,
        released_characters=row.released_characters,
        generated_characters=row.generated_characters,
        release=row.release,
        policy=row.policy,
    )


def _event(row: Columns) -> LedgerEvent:
    details = {} if row.content is None else json.loads(row.content)["details"]
    return LedgerEvent(row.event, row.decision_id, details, row.org or "", row.key_id)


def _body_record(data: dict[str, Any]) -> LedgerRecord:
    schema = data["schema"]
    if schema not in OLD_SCHEMAS:
        message = f"schema {schema!r} is none of {OLD_SCHEMAS}"
        raise LedgerError(message)
    names = set(LedgerRecord.__slots__) - {"policy"} - ({"release"} if schema == 1 else set())
    fields = {name: data[name] for name in names}
    decision = fields["decision"]
    matches = tuple(_match(match) for match in decision["matches"])
    fields["decision"] = Decision(**{**decision, "action": Action(decision["action"]), "matches": matches})
    return LedgerRecord(**fields)


def _match(data: dict[str, Any]) -> Match:
    kind, action, owner = MatchKind(data["kind"]), Action(data["action"]), Owner.parse(data["owner"])
    return Match(**{**data, "kind": kind, "action": action, "owner": owner})
