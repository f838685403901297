"""Signed heads of chains, kept in the ledger's database until all who are to have them do.

Knows neither what signs nor where heads go. Whoever can write the database can remove them from it: what counts is what
was exported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from guard.ledger_chain import written_now
from guard.ledger_entry import Head
from guard.ledger_schema import head_table

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from guard.ledger_database import Database


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head that a key signed, at a time (UTC, ISO 8601); key and signature as service.heads.statement writes them."""

    head: Head
    at: str
    key: str
    signature: str


class Heads:
    """The signed heads in a ledger's database. Methods raise LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, signed: SignedHead) -> None:
        """Write it down; it is on disk when this returns."""
        row = {"writer": signed.head.writer, "entries": signed.head.entries, "hash": signed.head.hash}
        row |= {"at": signed.at, "key": signed.key, "signature": signed.signature}
        with self._database.refusing("written"), self._database.writing() as connection:
            connection.execute(insert(head_table), row)

    def waiting(self) -> list[SignedHead]:
        """The newest head of each chain that has not been exported, if any."""
        table = head_table.c
        newest = select(func.max(table.id)).where(table.exported.is_(None)).group_by(table.writer)
        return self._read(table.id.in_(newest))

    def exported(self, signed: SignedHead) -> None:
        """This head, and so those before it in its chain, are where they are to be."""
        table = head_table.c
        covered = (table.writer == signed.head.writer) & (table.entries <= signed.head.entries)
        change = update(head_table).where(covered, table.exported.is_(None)).values(exported=written_now())
        with self._database.refusing("written"), self._database.writing() as connection:
            connection.execute(change)

    def last(self) -> list[SignedHead]:
        """The newest head of each chain that was exported."""
        table = head_table.c
        newest = select(func.max(table.id)).where(table.exported.is_not(None)).group_by(table.writer)
        return self._read(table.id.in_(newest))

    def _read(self, which: ColumnElement[bool]) -> list[SignedHead]:
        query = select(head_table).where(which).order_by(head_table.c.id)
        with self._database.refusing("read"), self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [SignedHead(Head(row.writer, row.entries, row.hash), row.at, row.key, row.signature) for row in rows]
