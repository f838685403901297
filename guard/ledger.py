"""The ledger: the append-only, hash-chained record of decisions that security teams review.

Does not know how decisions are made. Its entries hold no text (guard.ledger_entry).

Each process writes a chain of its own (guard.ledger_chain), whose entries are bound as guard.ledger_form says. An
edited, removed, added or moved entry breaks its chain where it stands. Whoever can write the database can also cut off
a chain's tail, or rewrite it from some entry on with new hashes: that shows only against heads that were kept elsewhere
(`Ledger.heads`, `Ledger.verify(heads)`).
"""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from guard.errors import LedgerError
from guard.ledger_chain import Chain
from guard.ledger_chains import exported_lines, head_of, heads_in
from guard.ledger_database import PATIENCE_SECONDS, Database
from guard.ledger_entry import (
    GENESIS,
    Break,
    EventEntry,
    Head,
    LedgerEntry,
    LedgerEvent,
    LedgerRecord,
    Verification,
)
from guard.ledger_form import decision_columns, event_columns, linked, match_rows, new_id
from guard.ledger_heads import Heads
from guard.ledger_redaction import REDACTION, RETENTION, expired, found, require_parts, take_out
from guard.ledger_rows import read_entry, read_event
from guard.ledger_schema import entry_table, match_table
from guard.ledger_verifying import verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Row, Select

    from guard.ledger_rows import Columns
    from guard.types import Action

__all__ = ["Break", "EventEntry", "Head", "Ledger", "LedgerEntry", "LedgerEvent", "LedgerRecord", "Verification"]

Entry = TypeVar("Entry")


class Ledger:
    """The ledger at a SQLAlchemy `url`; may be shared by threads and its database by processes.

    Every method raises LedgerError, within about a second, where the database cannot do what is asked.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._appending = threading.Lock()
        self._chain = Chain()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def writer(self) -> str:
        """The name of the chain that this process writes; it begins with the first entry."""
        return self._chain.writer

    @property
    def tip(self) -> Head:
        """The end of that chain, all of which is on disk. What this process knows, not what the database says."""
        return self._chain.tip.head

    @property
    def book(self) -> Heads:
        """The signed heads in this database."""
        return Heads(self._database)

    def append(self, record: LedgerRecord) -> LedgerEntry:
        """Write `record` as the chain's next entry; it is on disk when this returns."""
        return self.append_all([record])[0]

    def append_all(self, records: Sequence[LedgerRecord]) -> list[LedgerEntry]:
        """Write `records` as the chain's next entries, all or none; they are on disk when this returns."""
        columns = [decision_columns(record) for record in records]
        return self._write(columns, [match_rows(record) for record in records], read_entry)

    def note(self, event: LedgerEvent, also: Callable[[Connection], None] | None = None) -> EventEntry:
        """Write `event` as the chain's next entry; it is on disk when this returns.

        `also` is done in the same transaction, both or neither; what it raises is raised.
        """
        return self._write([event_columns(event)], [[]], read_event, also)[0]

    def redact(self, ids: Sequence[str], parts: Sequence[str], reason: str, actor: str | None = None) -> EventEntry:
        """Take `parts` (`caller`, `content`) out of decisions, for good; the entry that says so is returned.

        All or none. Raises LedgerError where a decision is not there.
        """
        parts = require_parts(parts)
        with self._database.refusing("read"), self._database.reading() as connection:
            rows = found(connection, ids)
        places = [[row.writer, row.number] for row in rows]
        event = LedgerEvent(REDACTION, new_id("red"), {"entries": places, "parts": parts, "reason": reason}, "", actor)

        def also(connection: Connection) -> None:
            take_out(connection, [row.seq for row in rows], parts)

        return self._write([event_columns(event)], [[]], read_event, also)[0]

    def retain(
        self, before: str, actions: Sequence[str], parts: Sequence[str], actor: str | None = None
    ) -> tuple[EventEntry, int]:
        """Take `parts` out of all decisions with one of `actions` that were written before `before` (as `at` is).

        The entry that says so comes first; then some entries at a time, so that others write in between. Interrupted,
        call it again. Returns that entry, and how many decisions changed.
        """
        parts = require_parts(parts)
        details = {"before": before, "actions": sorted(actions), "parts": parts}
        noted, count = self.note(LedgerEvent(RETENTION, new_id("ret"), details, "", actor)), 0
        while True:
            with self._database.refusing("written"), self._database.writing() as connection:
                seqs = expired(connection, before, actions, parts)
                take_out(connection, seqs, parts)
            count += len(seqs)
            if not seqs:
                return noted, count

    def entries(
        self,
        *,
        after: int | None = None,
        limit: int = 100,
        action: Action | None = None,
        owner: str | None = None,
        org: str | None = None,
        newest_first: bool = False,
    ) -> list[LedgerEntry]:
        """Return up to `limit` decisions that follow the sequence number `after` in the order asked for.

        `owner` (as `str(Owner)` writes it) asks for matches in that owner's code, `org` for a caller's generations.
        """
        query = _paged(after, limit, newest_first=newest_first).where(entry_table.c.event.is_(None))
        if action is not None:
            query = query.where(entry_table.c.action == action.value)
        if org is not None:
            query = query.where(entry_table.c.org == org)
        if owner is not None:
            owned = select(match_table.c.seq).where(match_table.c.owner == owner)
            query = query.where(entry_table.c.seq.in_(owned))
        return [read_entry(row) for row in self._rows(query)]

    def events(self, *, after: int | None = None, limit: int = 100, newest_first: bool = False) -> list[EventEntry]:
        """Return up to `limit` entries that are no decisions, as `entries` does."""
        query = _paged(after, limit, newest_first=newest_first).where(entry_table.c.event.is_not(None))
        return [read_event(row) for row in self._rows(query)]

    def get(self, decision_id: str) -> LedgerEntry | None:
        """Return the entry of the decision `decision_id`, or None."""
        query = select(entry_table).where(entry_table.c.decision_id == decision_id, entry_table.c.event.is_(None))
        rows = self._rows(query)
        return read_entry(rows[0]) if rows else None

    def heads(self) -> tuple[Head, ...]:
        """The length and last hash of each chain: note them down elsewhere, to verify against them later."""
        with self._database.refusing("read"), self._database.reading() as connection:
            return heads_in(connection)

    def verify(self, heads: Iterable[Head] = (), progress: Callable[[float], None] | None = None) -> Verification:
        """Recompute all chains and, where `heads` of earlier are given, hold the chains against them.

        Without any, entries missing at the end of a chain are not noticed. `progress` is told the share that is done.
        """
        with self._database.refusing("read"):
            return verified(self._database, heads, progress)

    def export(self) -> Iterator[str]:
        """One line of JSON an entry (docs/ledger.md); the chains can be verified with nothing but SHA-256."""
        with self._database.refusing("read"):
            yield from exported_lines(self._database)

    def ready(self) -> None:
        """Raise LedgerError unless an entry could be written now. Writes none."""
        self._database.require_room()
        with self._database.refusing("written"), self._database.writing() as connection:
            # Larger than a page, so that a database that may not grow says so.
            columns = {**event_columns(LedgerEvent("probe", "probe", {})), "content": "0" * (1 << 14)}
            row = linked(columns, "probe", 0, "", GENESIS)
            connection.execute(insert(entry_table).values(row))
            connection.rollback()

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._database.refusing("read"), self._database.reading() as connection:
            return connection.execute(query).all()

    def _write(
        self,
        columns: list[dict[str, Any]],
        matches: list[list[dict[str, Any]]],
        read: Callable[[Columns], Entry],
        also: Callable[[Connection], None] | None = None,
    ) -> list[Entry]:
        """Write rows at the end of the chain, and do what is to be done `also` in the same transaction."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        if not self._appending.acquire(timeout=PATIENCE_SECONDS):
            message = (
                f"the ledger {self._database.name} is written too slowly for all who wait: is its disk overloaded?"
            )
            raise LedgerError(message)
        try:
            with self._database.refusing("written"):
                patience = max(0.05, deadline - time.monotonic())
                try:
                    with self._database.writing(patience) as connection:
                        entries = self._linked(connection, columns, matches, read)
                        if also is not None:
                            also(connection)
                except IntegrityError as error:
                    raise self._taken([each["decision_id"] for each in columns]) from error
                self._chain.wrote()
                return entries
        finally:
            self._appending.release()

    def _linked(
        self,
        connection: Connection,
        columns: list[dict[str, Any]],
        matches: list[list[dict[str, Any]]],
        read: Callable[[Columns], Entry],
    ) -> list[Entry]:
        """Add the rows; reads back what was written: an entry that could not be read later is refused now."""
        if self._chain.unsure:
            self._chain.settle(head_of(connection, self.writer))
        rows = self._chain.link(columns)
        adding = insert(entry_table).returning(entry_table.c.seq, sort_by_parameter_order=True)
        seqs = connection.execute(adding, rows).scalars().all()
        found = [{**match, "seq": seq} for seq, several in zip(seqs, matches, strict=True) for match in several]
        if found:
            connection.execute(insert(match_table), found)
        return [read(SimpleNamespace(**row, seq=seq)) for seq, row in zip(seqs, rows, strict=True)]

    def _taken(self, ids: list[str]) -> LedgerError:
        """What to say when an entry's id or its place in the chain is taken."""
        found = self._rows(select(entry_table.c.decision_id).where(entry_table.c.decision_id.in_(ids)))
        twice = [row.decision_id for row in found] or [one for one in ids if ids.count(one) > 1]
        if twice:
            return LedgerError(
                f"the ledger has an entry for decision {twice[0]} already: every decision needs its own id"
            )
        return LedgerError(
            f"the next place of the ledger's chain {self.writer} is taken: somebody else changes it. Run `cleanroom "
            "ledger verify`, then start the service again"
        )


def _paged(after: int | None, limit: int, *, newest_first: bool) -> Select[Any]:
    place = entry_table.c.seq
    query = select(entry_table).limit(limit).order_by(place.desc() if newest_first else place)
    if after is not None:
        query = query.where(place < after if newest_first else place > after)
    return query
