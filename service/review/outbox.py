"""What a webhook is still to be told, kept in the database: a restart loses nothing, and replicas share the work.

A row names a leak or an alert and holds no copy of it. Each party's webhook has at most ROOM rows: what does not fit
waits in the ledger, where it is anyway. Which leaks concern a party is asked here; what it may see of them is
`Viewer.see`'s. Knows no HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from guard.ledger_schema import entry_table
from guard.types import Action
from service.review.alerts import concerning as concerning_alert
from service.review.filters import written
from service.review.review_schema import alert_table, outbox_table, place_table
from service.review.source import concerning as concerning_leak

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from guard.ledger_database import Database
    from service.review.viewer import Viewer

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
    """What the webhook of `viewer`'s party is told. Methods raise LedgerError. Times are seconds since 1970."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self._database = database
        self._viewer = viewer
        self._party = viewer.party

    def begin(self) -> None:
        """Begin with what comes from now on, the first time that a webhook is set."""
        with self._database.refusing("written"), self._database.writing() as connection:
            for name, column in ((LEAK, entry_table.c.seq), (ALERT, alert_table.c.id)):
                if connection.execute(select(place_table).where(*self._place(name))).first() is None:
                    newest = connection.execute(select(func.max(column))).scalar_one_or_none() or 0
                    values = {"name": name, "party": self._party, "place": newest}
                    connection.execute(insert(place_table), values)

    def forget(self) -> None:
        """There is no webhook any more: nothing waits for it, and another begins anew."""
        with self._database.refusing("written"), self._database.writing() as connection:
            for table in (outbox_table, place_table):
                connection.execute(delete(table).where(table.c.party == self._party))

    def collect(self, before: datetime) -> int:
        """Put what came since, and was written before a time, into the outbox; answer how many rows now wait.

        Rows of PostgreSQL can appear behind younger ones for as long as a writing takes: `before` leaves them room.
        """
        entry, alert = entry_table.c, alert_table.c
        blocked = (entry.severity.is_not(None), entry.action == Action.BLOCK.value, entry.at < written(before))
        leaks = select(entry.seq, entry.decision_id.label("subject")).where(*blocked)
        alerts = select(alert.id, alert.id.label("subject")).where(alert.at < written(before))
        sources = ((ALERT, alerts, alert.id, concerning_alert), (LEAK, leaks, entry.seq, concerning_leak))
        with self._database.refusing("written"):
            with self._database.reading() as connection:
                waiting = self._count(connection)
                new = any(self._new(connection, name, every, column, 1) for name, every, column, _ in sources)
            if waiting >= ROOM or not new:
                return waiting
            with self._database.writing() as connection:
                # On PostgreSQL other processes write meanwhile, and must not collect the same.
                mine = select(place_table).where(place_table.c.party == self._party)
                connection.execute(mine.with_for_update()).all()
                for name, every, column, concerning in sources:
                    self._add(connection, name, (every, every.where(*concerning(self._viewer))), column)
                return self._count(connection)

    def _add(
        self, connection: Connection, name: str, queries: tuple[Select[Any], Select[Any]], column: ColumnElement[int]
    ) -> None:
        """Add what concerns the party, the second of the queries, of everything, the first."""
        every, own = queries
        room = ROOM - self._count(connection)
        rows = self._new(connection, name, own, column, room)
        if rows:
            told = {"kind": name, "party": self._party, "attempts": 0, "due": 0.0}
            connection.execute(insert(outbox_table), [{**told, "subject": str(each.subject)} for each in rows])
        # Where all that concerns it fitted, what concerns others is passed as well, and not read again.
        reached = rows[-1][0] if len(rows) >= room else self._last(connection, name, every, column)
        connection.execute(update(place_table).where(*self._place(name)).values(place=reached))

    def take(self, now: float) -> list[Waiting]:
        """The rows that are due, for this process to tell."""
        mine = (outbox_table.c.party == self._party, outbox_table.c.due <= now)
        due = select(outbox_table).where(*mine).order_by(outbox_table.c.id).limit(BATCH)
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

    def _place(self, name: str) -> tuple[ColumnElement[bool], ...]:
        return place_table.c.name == name, place_table.c.party == self._party

    def _new(
        self, connection: Connection, name: str, query: Select[Any], column: ColumnElement[int], room: int
    ) -> Sequence[Row[Any]]:
        return connection.execute(self._since(name, query, column).order_by(column).limit(max(0, room))).all()

    def _last(self, connection: Connection, name: str, query: Select[Any], column: ColumnElement[int]) -> int:
        """Where all of these end, or where we are."""
        ends = self._since(name, query, column).with_only_columns(func.max(column))
        here = connection.execute(select(place_table.c.place).where(*self._place(name))).scalar_one()
        return int(connection.execute(ends).scalar_one() or here)

    def _since(self, name: str, query: Select[Any], column: ColumnElement[int]) -> Select[Any]:
        place = select(place_table.c.place).where(*self._place(name)).scalar_subquery()
        return query.where(column > place)

    def _count(self, connection: Connection) -> int:
        mine = select(func.count()).select_from(outbox_table).where(outbox_table.c.party == self._party)
        return int(connection.execute(mine).scalar_one())
