"""The forms that the chain is made of: canonical JSON, the salted parts of an entry, and what binds them.

An entry is a header of numbers and names, and two parts: the caller, and the content (matches, or what an event says).
The header holds the SHA-256 of each part; the entry's hash is SHA-256 over the hash before it and the header (after
Haber & Stornetta 1991). So a part can be taken out later and the chain still holds. Each part has a random salt of 128
bits: whoever has its digest cannot find out what was in it by trying all organizations.

Canonical JSON is that of RFC 8785: keys sorted by UTF-16, no spaces, the shortest number, UTF-8. A lone surrogate (of
an undecodable path), which RFC 8785 does not know, is escaped. Knows no database.
"""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from guard.ledger_entry import closest, severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.ledger_entry import LedgerEvent, LedgerRecord
    from guard.types import Match

SCHEMA = 3
"""1 and 2, of before each writer had a chain, are read as well (guard.ledger_old)."""
HEADER = (
    "action",
    "at",
    "caller_digest",
    "checked_tokens",
    "content_digest",
    "decision_id",
    "disposition",
    "event",
    "generated_characters",
    "guard_us",
    "index_version",
    "kind",
    "model",
    "number",
    "policy",
    "release",
    "released_characters",
    "schema",
    "severity",
    "surface",
    "tokens",
    "writer",
)
"""The columns that make the header, in the order of canonical JSON."""
CALLER = {"key_id": "key_id", "org": "org", "salt": "caller_salt"}
"""The keys of the caller's part, and their columns."""
# The header's keys are sorted already, and it has no floats.
spell = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def canonical(value: object) -> str:
    """The canonical JSON of `value`. Raises ValueError for what JSON lacks."""
    return spell(_ordered(value)).encode("utf-8", "backslashreplace").decode()


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _ordered(value[name]) for name in names}
    if isinstance(value, (list, tuple)):
        return [_ordered(inner) for inner in value]
    # As JavaScript spells it: 1.0 is 1. Smaller numbers than 1e-6 do not occur.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def new_id(kind: str) -> str:
    """A name for an event that nobody can guess."""
    return f"{kind}_{secrets.token_hex(12)}"


def plain(text: str) -> str:
    """`text` in a form that every database can hold as text: lone surrogates and NUL are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def digest(text: str) -> str:
    """The hex SHA-256 of `text`."""
    return sha256(text.encode()).hexdigest()


def chained_hash(previous: str, header: str) -> str:
    """The hash of an entry with this `header`, after the hash `previous`; both hex."""
    return sha256(bytes.fromhex(previous) + header.encode()).hexdigest()


def header(values: Mapping[str, Any]) -> str:
    """The header of an entry whose columns are `values`."""
    return spell({name: values[name] for name in HEADER})


def caller_part(org: str | None, key_id: str | None, salt: str | None) -> str:
    """The part that says who asked."""
    return spell({"key_id": key_id, "org": org, "salt": salt})


def decision_columns(record: LedgerRecord) -> dict[str, Any]:
    """The columns of a decision that need no chain."""
    decision = record.decision
    return {
        "event": None,
        "decision_id": decision.id,
        "action": decision.action.value,
        "disposition": record.disposition,
        **judged(record),
        "surface": plain(record.surface),
        "model": plain(record.model),
        "release": _plain_or_none(record.release),
        "index_version": decision.index_version,
        "policy": _plain_or_none(record.policy),
        "checked_tokens": decision.checked_tokens,
        "guard_us": round(decision.guard_ms * 1000),
        "released_characters": record.released_characters,
        "generated_characters": record.generated_characters,
        **_caller(record.org, record.key_id),
        **_content("matches", [match.to_json() for match in decision.matches]),
    }


def judged(record: LedgerRecord) -> dict[str, Any]:
    """The columns that are worked out from a decision's matches."""
    decision = record.decision
    return {
        "severity": severity(decision),
        "kind": closest(decision),
        "tokens": max((match.tokens for match in decision.matches), default=0),
    }


def event_columns(event: LedgerEvent) -> dict[str, Any]:
    """The columns of an event that need no chain."""
    empty = ("action", "disposition", "surface", "model")
    counts = ("tokens", "index_version", "checked_tokens", "guard_us", "released_characters", "generated_characters")
    return {
        "event": event.event,
        "decision_id": event.id,
        **dict.fromkeys(empty, ""),
        **dict.fromkeys(counts, 0),
        **dict.fromkeys(("severity", "kind", "release", "policy")),
        **_caller(event.org, event.actor),
        **_content("details", dict(event.details)),
    }


def match_rows(record: LedgerRecord) -> list[dict[str, Any]]:
    """The rows of the matches of a decision, for queries."""
    return rows_of(record.decision.matches)


def rows_of(matches: Sequence[Match]) -> list[dict[str, Any]]:
    """The same of matches."""
    return [
        {
            "place": place,
            "owner": str(match.owner),
            "kind": match.kind.value,
            "license": _plain_or_none(match.license or match.owner.license),
            "action": match.action.value,
            "document": plain(match.document),
            "tokens": match.tokens,
        }
        for place, match in enumerate(matches)
    ]


def linked(columns: dict[str, Any], writer: str, number: int, at: str, previous: str) -> dict[str, Any]:
    """The whole row: `columns` in their place in a chain."""
    row = {**columns, "writer": writer, "number": number, "schema": SCHEMA, "at": at, "previous": previous}
    return {**row, "body": None, "hash": chained_hash(previous, header(row))}


def _caller(org: str, key_id: str | None) -> dict[str, Any]:
    org, key_id, salt = plain(org), _plain_or_none(key_id), secrets.token_hex(16)
    text = caller_part(org, key_id, salt)
    return {"org": org, "key_id": key_id, "caller_salt": salt, "caller_digest": digest(text)}


def _content(name: str, value: object) -> dict[str, Any]:
    if not value:
        return {"content": None, "content_digest": None}
    text = canonical({name: value, "salt": secrets.token_hex(16)})
    return {"content": text, "content_digest": digest(text)}


def _plain_or_none(text: str | None) -> str | None:
    return None if text is None else plain(text)
