"""The ledger: the append-only, hash-chained record of decisions that security teams review.

Does not know how decisions are made. Its entries hold no text (guard.ledger_entry).

An entry's hash is SHA-256 over the hash before it and its own canonical JSON (after Haber & Stornetta 1991). An edited,
removed, added or moved entry breaks the chain where it stands. Whoever can write the database can also cut off the
chain's tail, or rewrite it from some entry on with new hashes: that shows only against a head that was exported before
(`Ledger.head`, `Ledger.verify(head)`). Heads are not signed yet.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from guard.errors import LedgerError
from guard.ledger_entry import (
    GENESIS,
    Head,
    LedgerEntry,
    LedgerRecord,
    Verification,
    canonical_entry,
    chained_hash,
    read_entry,
)
from guard.ledger_schema import PATIENCE_SECONDS, Database, ledger_table, owner_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Row

    from guard.types import Action

__all__ = ["Head", "Ledger", "LedgerEntry", "LedgerRecord", "Verification"]

PAGE = 500


class Ledger:
    """The ledger at a SQLAlchemy `url`; may be shared by threads and its database by processes.

    Every method raises LedgerError, within about a second, where the database cannot do what is asked.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._appending = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def append(self, record: LedgerRecord) -> LedgerEntry:
        """Write `record` as the chain's next entry; it is on disk when this returns."""
        return self.append_all([record])[0]

    def append_all(self, records: Sequence[LedgerRecord]) -> list[LedgerEntry]:
        """Write `records` as the chain's next entries, all or none; they are on disk when this returns."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        if not self._appending.acquire(timeout=PATIENCE_SECONDS):
            message = (
                f"the ledger {self._database.name} is written too slowly for all who wait: is its disk overloaded?"
            )
            raise LedgerError(message)
        try:
            with (
                self._database.refusing("written"),
                self._database.writing(max(0.05, deadline - time.monotonic())) as connection,
            ):
                return [_append(connection, record) for record in records]
        finally:
            self._appending.release()

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
        """Return up to `limit` entries that follow the sequence number `after` in the order asked for.

        `owner` (as `str(Owner)` writes it) asks for matches in that owner's code, `org` for a caller's generations.
        """
        query = select(ledger_table).limit(limit)
        place = ledger_table.c.seq
        query = query.order_by(place.desc() if newest_first else place)
        if after is not None:
            query = query.where(place < after if newest_first else place > after)
        if action is not None:
            query = query.where(ledger_table.c.action == action.value)
        if org is not None:
            query = query.where(ledger_table.c.org == org)
        if owner is not None:
            query = query.join(owner_table).where(owner_table.c.owner == owner)
        with self._database.refusing("read"), self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [_entry(row) for row in rows]

    def get(self, decision_id: str) -> LedgerEntry | None:
        """Return the entry of the decision `decision_id`, or None."""
        query = select(ledger_table).where(ledger_table.c.decision_id == decision_id)
        with self._database.refusing("read"), self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _entry(row)

    def head(self) -> Head:
        """The chain's length and last hash: note it down elsewhere, to verify against it later."""
        with self._database.refusing("read"), self._database.reading() as connection:
            return _head(connection)

    def verify(self, head: Head | None = None) -> Verification:
        """Recompute the whole chain and, where a `head` of earlier is given, hold the chain against it.

        Without one, entries missing at the end are not noticed.
        """
        count, last = 0, GENESIS
        for row, held_owners in self._rows():
            reason = _defect(row, held_owners, count + 1, last)
            if reason is None and head is not None and head.entries == row.seq and head.hash != row.hash:
                reason = "it or one before it was rewritten since the head was taken"
            if reason is not None:
                # A gap is named by the entry that is missing.
                broken = min(row.seq, count + 1)
                return Verification(ok=False, entries=count, first_broken=broken, reason=reason, head=Head(count, last))
            count, last = row.seq, row.hash
        if head is not None and head.entries > count:
            reason = f"the chain ends before entry {head.entries}, which the head knows"
            return Verification(ok=False, entries=count, first_broken=count + 1, reason=reason, head=Head(count, last))
        return Verification(ok=True, entries=count, first_broken=None, reason=None, head=Head(count, last))

    def export(self) -> Iterator[str]:
        """One line of JSON an entry: `{"entry":E,"hash":"H","previous":"P"}`.

        H is the hex SHA-256 of the 32 bytes of P and the very bytes of E as they stand in the line, in UTF-8. The
        first P is zero; the last line's H is the head.
        """
        for row, _ in self._rows():
            yield f'{{"entry":{row.body},"hash":"{row.hash}","previous":"{row.previous}"}}'

    def ready(self) -> None:
        """Raise LedgerError unless an entry could be written now. Writes none."""
        self._database.require_room()
        with self._database.refusing("written"), self._database.writing() as connection:
            # Larger than a page, so that a database that may not grow says so.
            probe = {"seq": -1, "at": "", "decision_id": "", "org": "", "action": "", "body": "0" * (1 << 14)}
            connection.execute(insert(ledger_table).values(probe | {"previous": "", "hash": ""}))
            connection.rollback()

    def _rows(self) -> Iterator[tuple[Row[Any], set[str]]]:
        """All rows in order with the owners noted for them, a page at a time: no transaction stays open."""
        after: int | None = None
        while True:
            page = select(ledger_table).order_by(ledger_table.c.seq).limit(PAGE)
            noted = select(owner_table)
            if after is not None:
                page = page.where(ledger_table.c.seq > after)
            with self._database.refusing("read"), self._database.reading() as connection:
                rows = connection.execute(page).all()
                if not rows:
                    return
                noted = noted.where(owner_table.c.seq.between(rows[0].seq, rows[-1].seq))
                held: dict[int, set[str]] = {}
                for owner in connection.execute(noted):
                    held.setdefault(owner.seq, set()).add(owner.owner)
            for row in rows:
                yield row, held.get(row.seq, set())
            after = rows[-1].seq


def _append(connection: Connection, record: LedgerRecord) -> LedgerEntry:
    head = _head(connection)
    seq, at = head.entries + 1, datetime.now(UTC).isoformat(timespec="microseconds")
    body = canonical_entry(seq, at, record)
    # Read back from its canonical form: an entry that could not be read later is refused now.
    entry = read_entry(seq, body, head.hash, chained_hash(head.hash, body))
    columns = {**_columns(entry), "body": body, "previous": entry.previous, "hash": entry.hash}
    try:
        connection.execute(insert(ledger_table).values(columns))
    except IntegrityError as error:
        message = f"the ledger has an entry for decision {record.decision.id} already: every decision needs its own id"
        raise LedgerError(message) from error
    noted = [{"owner": owner, "seq": seq} for owner in sorted(_owners(entry))]
    if noted:
        connection.execute(insert(owner_table), noted)
    return entry


def _head(connection: Connection) -> Head:
    query = select(ledger_table.c.seq, ledger_table.c.hash).order_by(ledger_table.c.seq.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return Head(0, GENESIS) if row is None else Head(row.seq, row.hash)


def _columns(entry: LedgerEntry) -> dict[str, Any]:
    """The columns that repeat parts of the body for queries."""
    record = entry.record
    return {
        "seq": entry.seq,
        "at": entry.at,
        "decision_id": record.decision.id,
        "org": record.org,
        "action": record.decision.action.value,
    }


def _owners(entry: LedgerEntry) -> set[str]:
    return {str(match.owner) for match in entry.record.decision.matches}


def _entry(row: Row[Any]) -> LedgerEntry:
    return read_entry(row.seq, row.body, row.previous, row.hash)


def _defect(row: Row[Any], held_owners: set[str], expected: int, last: str) -> str | None:
    """What is wrong with the row that should be entry `expected` after the hash `last`, or None."""
    if row.seq != expected:
        return "it was added" if row.seq < expected else f"it is missing: entry {row.seq} comes next"
    if row.previous != last:
        return "it does not follow the entry before it"
    if not isinstance(row.body, str) or row.hash != chained_hash(last, row.body):
        return "its content does not have its hash"
    try:
        entry = _entry(row)
    except LedgerError:
        return "its content is no record"
    differing = [name for name, value in _columns(entry).items() if getattr(row, name) != value]
    if held_owners != _owners(entry):
        differing.append("owners")
    return f"what queries see of it ({', '.join(differing)}) differs from its content" if differing else None
