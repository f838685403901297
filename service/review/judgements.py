"""What reviewers said of leaks: the newest word of each party, and all that was ever said. Knows no ledger entry.

Organizations judge for themselves: neither side of a leak learns what the other says. Administrators see all of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from service.errors import InvalidRequestError
from service.review.filters import written
from service.review.leak import Disposition
from service.review.review_schema import NOTE_LIMIT, judgement_table, standing_table
from service.review.viewer import EVERYONE

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from guard.ledger_database import Database
    from service.review.viewer import Viewer

CHUNK = 500
"""Ids asked for at a time: databases bound the values of a statement."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One word on a leak: `org` and `key` are the reviewer's, `note` is theirs."""

    at: str
    disposition: Disposition
    note: str
    org: str
    key: str

    def to_json(self) -> dict[str, Any]:
        """The judgement as one JSON object."""
        return asdict(self)


def require_note(note: str) -> str:
    """Return `note` if it can be kept. Raises InvalidRequestError."""
    if len(note) > NOTE_LIMIT:
        message = f"a note of {len(note)} characters is too long: write at most {NOTE_LIMIT}"
        raise InvalidRequestError(message, param="note")
    if "\0" in note or any("\ud800" <= letter <= "\udfff" for letter in note):
        message = "the note holds a NUL or half a character: leave it out"
        raise InvalidRequestError(message, param="note")
    return note


class Judgements:
    """Kept in the database of the ledger. Methods raise LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self, viewer: Viewer, leaks: Collection[str]) -> dict[str, Disposition]:
        """What the viewer's party said last of each of these leaks, where it said anything."""
        ids = sorted(leaks)
        found: dict[str, Disposition] = {}
        with self._database.refusing("read"), self._database.reading() as connection:
            for first in range(0, len(ids), CHUNK):
                query = select(standing_table.c.decision_id, standing_table.c.disposition).where(
                    standing_table.c.party == viewer.party,
                    standing_table.c.decision_id.in_(ids[first : first + CHUNK]),
                )
                found |= {row.decision_id: Disposition(row.disposition) for row in connection.execute(query)}
        return found

    def history(self, viewer: Viewer, leak: str) -> tuple[Judgement, ...]:
        """All that the viewer may know was said of a leak, the oldest first."""
        table = judgement_table
        query = select(table).where(table.c.decision_id == leak).order_by(table.c.id)
        if not viewer.admin:
            query = query.where(table.c.party == viewer.org)
        with self._database.refusing("read"), self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(Judgement(row.at, Disposition(row.disposition), row.note, row.org, row.key_id) for row in rows)

    def add(self, viewer: Viewer, leaks: dict[str, int], disposition: Disposition, note: str) -> Judgement:
        """Judge leaks, by id and row of the ledger, all or none. Raises InvalidRequestError on a bad note."""
        judgement = Judgement(written(datetime.now(UTC)), disposition, require_note(note), viewer.org, viewer.key_id)
        with self._database.refusing("written"), self._database.writing(alone=True) as connection:
            for leak, seq in leaks.items():
                self._add(connection, viewer, leak, seq, judgement)
        return judgement

    def _add(self, connection: Connection, viewer: Viewer, leak: str, seq: int, judgement: Judgement) -> None:
        said = {"decision_id": leak, "party": viewer.party, "org": viewer.org, "key_id": viewer.key_id}
        said |= {"at": judgement.at, "disposition": judgement.disposition.value, "note": judgement.note}
        connection.execute(insert(judgement_table), said)
        for party in {viewer.party, EVERYONE}:
            of_party = (standing_table.c.party == party) & (standing_table.c.decision_id == leak)
            connection.execute(delete(standing_table).where(of_party))
            standing = {"party": party, "decision_id": leak, "seq": seq, "disposition": judgement.disposition.value}
            connection.execute(insert(standing_table), standing)
