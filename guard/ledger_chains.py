"""Reads the chains of a ledger as they stand in its database: their rows, their ends, and all of them as lines.

Judges nothing (guard.ledger_verifying does) and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from guard.ledger_entry import GENESIS, Head
from guard.ledger_form import HEADER, SCHEMA, caller_part, header, spell
from guard.ledger_schema import entry_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row, Select

    from guard.ledger_database import Database

AT_ONCE = 2000
"""Rows read at a time."""
# The header's first, in its order.
ROWS: Select[Any] = select(
    *(entry_table.c[name] for name in HEADER), *(column for column in entry_table.c if column.name not in HEADER)
)


def head_of(connection: Connection, writer: str) -> Head:
    """The head of one chain."""
    table = entry_table.c
    query = select(table.number, table.hash).where(table.writer == writer).order_by(table.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return Head(writer, 0, GENESIS) if row is None else Head(writer, row.number, row.hash)


def heads_in(connection: Connection) -> tuple[Head, ...]:
    """The heads of all chains, by name."""
    table = entry_table.c
    last = select(table.writer, func.max(table.number).label("number")).group_by(table.writer).subquery()
    ends = and_(table.writer == last.c.writer, table.number == last.c.number)
    query = select(table.writer, table.number, table.hash).join(last, ends).order_by(table.writer)
    return tuple(Head(*row) for row in connection.execute(query))


def exported_lines(database: Database) -> Iterator[str]:
    """One line of JSON an entry: `{"entry":E,"hash":"H","previous":"P","caller":C,"content":T}`.

    H is the hex SHA-256 of the 32 bytes of P and the very bytes of E as they stand in the line, in UTF-8; the first P
    of a chain is zero. C and T are strings, null where there are none, whose SHA-256 E has as `caller_digest` and
    `content_digest`; entries of old schemas have all in E.
    """
    after = 0
    while True:
        query = ROWS.where(entry_table.c.seq > after).order_by(entry_table.c.seq).limit(AT_ONCE)
        with database.reading() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        for row in rows:
            yield _line(row)
        after = rows[-1].seq


def _line(row: Row[Any]) -> str:
    whole = row.schema != SCHEMA
    told = (row.body or "null") if whole else header(dict(zip(HEADER, row, strict=False)))
    caller = None if whole or row.caller_salt is None else caller_part(row.org, row.key_id, row.caller_salt)
    chain = f'"hash":"{row.hash}","previous":"{row.previous}"'
    return f'{{"entry":{told},{chain},"caller":{spell(caller)},"content":{spell(row.content)}}}'
