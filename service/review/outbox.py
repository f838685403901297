"""What a webhook is still to be told, kept in the database: a restart loses nothing, and replicas share the work.

A row names a leak or an alert and holds no copy of it. There are at most ROOM rows: what does not fit waits in the
ledger, where it is anyway. Knows no HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from guard.ledger_schema import entry_table
from guard.types import Action
from service.review.filters import written
from service.review.review_schema import alert_table, outbox_table, place_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from guard.ledger_database import Database

ROOM = 1_000
BATCH = 20
"""Rows that are told at a time."""
LEASE = 60.0
"""Seconds for which a row belongs to the process that took it; one that dies leaves it to others then."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3_600.0
"""Seconds before a row is tried again: twice as long each time."""
LEAK, ALERT = "leak", "alert"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row: `subject` is a leak's id or an alert's; `attempts` failed until now."""

    id: int
    kind: str
    subject: str
    attempts: int


class Outbox:
    """Methods raise LedgerError. Times are seconds since 1970."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> None:
        """Begin with what comes from now on, the first time that a webhook is set."""
        with self._database.refusing("written"), self._database.writing() as connection:
            for name, column in ((LEAK, entry_table.c.seq), (ALERT, alert_table.c.id)):
                if connection.execute(select(place_table).where(place_table.c.name == name)).first() is None:
                    newest = connection.execute(select(func.max(column))).scalar_one_or_none() or 0
                    connection.execute(insert(place_table), {"name": name, "place": newest})

    def collect(self, before: datetime) -> int:
        """Put what came since, and was written before a time, into the outbox; answer how many rows now wait.

        Rows of PostgreSQL can appear behind younger ones for as long as a writing takes: `before` leaves them room.
        """
        leaks = select(entry_table.c.seq, entry_table.c.decision_id.label("subject")).where(
            entry_table.c.severity.is_not(None),
            entry_table.c.action == Action.BLOCK.value,
            entry_table.c.at < written(before),
        )
        alerts = select(alert_table.c.id, alert_table.c.id.label("subject")).where(alert_table.c.at < written(before))
        with self._database.refusing("written"):
            with self._database.reading() as connection:
                waiting = self._count(connection)
                leak = self._new(connection, LEAK, leaks, entry_table.c.seq, 1)
                alert = self._new(connection, ALERT, alerts, alert_table.c.id, 1)
            if waiting >= ROOM or not (leak or alert):
                return waiting
            with self._database.writing() as connection:
                # On PostgreSQL other processes write meanwhile, and must not collect the same.
                connection.execute(select(place_table).with_for_update()).all()
                for name, query, column in ((ALERT, alerts, alert_table.c.id), (LEAK, leaks, entry_table.c.seq)):
                    rows = self._new(connection, name, query, column, ROOM - self._count(connection))
                    if rows:
                        told = [
                            {"kind": name, "subject": str(each.subject), "attempts": 0, "due": 0.0} for each in rows
                        ]
                        connection.execute(insert(outbox_table), told)
                        of_name = place_table.c.name == name
                        connection.execute(update(place_table).where(of_name).values(place=rows[-1][0]))
                return self._count(connection)

    def take(self, now: float) -> list[Waiting]:
        """The rows that are due, for this process to tell."""
        due = select(outbox_table).where(outbox_table.c.due <= now).order_by(outbox_table.c.id).limit(BATCH)
        with self._database.refusing("written"):
            with self._database.reading() as connection:
                if connection.execute(due.limit(1)).first() is None:
                    return []
            with self._database.writing() as connection:
                rows = connection.execute(due.with_for_update(skip_locked=True)).all()
                taken = outbox_table.c.id.in_([row.id for row in rows])
                connection.execute(update(outbox_table).where(taken).values(due=now + LEASE))
        return [Waiting(row.id, row.kind, row.subject, row.attempts) for row in rows]

    def told(self, row: Waiting) -> None:
        """Forget a row that was told."""
        with self._database.refusing("written"), self._database.writing() as connection:
            connection.execute(delete(outbox_table).where(outbox_table.c.id == row.id))

    def failed(self, row: Waiting, now: float) -> None:
        """Keep a row for later."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(row.attempts, 20))
        later = update(outbox_table).where(outbox_table.c.id == row.id)
        with self._database.refusing("written"), self._database.writing() as connection:
            connection.execute(later.values(attempts=row.attempts + 1, due=now + pause))

    def _new(
        self, connection: Connection, name: str, query: Select[Any], column: ColumnElement[int], room: int
    ) -> Sequence[Row[Any]]:
        place = select(place_table.c.place).where(place_table.c.name == name).scalar_subquery()
        return connection.execute(query.where(column > place).order_by(column).limit(max(0, room))).all()

    def _count(self, connection: Connection) -> int:
        return int(connection.execute(select(func.count()).select_from(outbox_table)).scalar_one())
