"""Parts of entries taken out, and the entries that say so. Knows neither who may do that nor how chains are written.

A part that is gone leaves its hash in the header, so the chain still holds; its salt is gone as well, so nobody can
find out what it was by trying. An entry of the ledger says which parts were taken out of which entries: a part that is
missing without one was removed by somebody else. Of an entry of an old schema all goes but its place, since its hash is
over all of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, or_, select, update

from guard.errors import LedgerError
from guard.ledger_form import SCHEMA
from guard.ledger_rows import WRONG
from guard.ledger_schema import entry_table, match_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

PARTS = ("caller", "content")
REDACTION, RETENTION = "redaction", "retention"
AT_ONCE = 500
_CALLER = ("org", "key_id", "caller_salt")


def require_parts(parts: Sequence[str]) -> list[str]:
    """The parts in order. Raises LedgerError where one is none, or there is none."""
    unknown = sorted(set(parts) - set(PARTS))
    if unknown or not parts:
        message = f"{', '.join(unknown) or 'nothing'} is no part of an entry: name one or both of {', '.join(PARTS)}"
        raise LedgerError(message)
    return sorted(set(parts))


def found(connection: Connection, ids: Sequence[str]) -> Sequence[Row[Any]]:
    """The decisions of these ids. Raises LedgerError where one is not there, or there are too many."""
    if not 1 <= len(ids) <= AT_ONCE:
        message = f"{len(ids)} entries cannot be redacted at a time: name 1 to {AT_ONCE}"
        raise LedgerError(message)
    table = entry_table.c
    query: Select[Any] = select(table.seq, table.writer, table.number, table.decision_id)
    rows = connection.execute(query.where(table.decision_id.in_(ids), table.event.is_(None))).all()
    missing = sorted(set(ids) - {row.decision_id for row in rows})
    if missing:
        message = f"the ledger has no decision {missing[0]!r}: nothing was redacted"
        raise LedgerError(message)
    return rows


def take_out(connection: Connection, seqs: Sequence[int], parts: Sequence[str]) -> None:
    """Take the parts out of these entries."""
    these = entry_table.c.seq.in_(seqs)
    values: dict[str, None] = dict.fromkeys(_CALLER) if "caller" in parts else {}
    if "content" in parts:
        values["content"] = None
        connection.execute(delete(match_table).where(match_table.c.seq.in_(seqs)))
    connection.execute(update(entry_table).where(these, entry_table.c.schema == SCHEMA).values(values))
    old = select(entry_table.c.seq).where(these, entry_table.c.schema != SCHEMA)
    connection.execute(delete(match_table).where(match_table.c.seq.in_(old)))
    gone = {**dict.fromkeys((*_CALLER, "body")), "model": "", "release": None, "surface": ""}
    connection.execute(update(entry_table).where(these, entry_table.c.schema != SCHEMA).values(gone))


def expired(connection: Connection, before: str, actions: Sequence[str], parts: Sequence[str]) -> list[int]:
    """Some of the decisions of before `before` that still have one of the parts."""
    table = entry_table.c
    held: list[ColumnElement[bool]] = [table.body.is_not(None)]
    if "caller" in parts:
        held.append(table.caller_salt.is_not(None))
    if "content" in parts:
        held.append(table.content.is_not(None))
    which = and_(table.at < before, table.event.is_(None), table.action.in_(actions), or_(*held))
    return list(connection.execute(select(table.seq).where(which).limit(AT_ONCE)).scalars())


@dataclass(slots=True)
class Allowed:
    """Which parts the ledger itself says were taken out."""

    entries: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    rules: dict[tuple[frozenset[str], frozenset[str]], str] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection, vouched: Mapping[str, int] | None) -> Allowed:
        """From the ledger's entries; `vouched`: up to which number of a chain they count, None for all."""
        allowed, table = cls(), entry_table.c
        query = select(table.event, table.writer, table.number, table.content)
        for row in connection.execute(query.where(table.event.in_((REDACTION, RETENTION)))):
            if vouched is None or row.number <= vouched.get(row.writer, 0):
                try:
                    allowed._add(row.event, json.loads(row.content)["details"])
                except WRONG:
                    # Its chain is broken there, which is told.
                    continue
        return allowed

    def _add(self, event: str, details: dict[str, Any]) -> None:
        parts = frozenset(details["parts"])
        if event == RETENTION:
            # Of what a timer says every day, the last word is enough.
            rule, before = (frozenset(details["actions"]), parts), str(details["before"])
            self.rules[rule] = max(before, self.rules.get(rule, ""))
            return
        for writer, number in details["entries"]:
            self.entries.setdefault((writer, number), set()).update(parts)

    def parts(self, writer: str, number: int, at: str, action: str | None) -> set[str]:
        """The parts that may be missing in an entry; `action` is None where it is no decision."""
        own = set(self.entries.get((writer, number), ()))
        if action is not None:
            for (actions, parts), before in self.rules.items():
                if at < before and action in actions:
                    own |= parts
        return own
