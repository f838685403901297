"""Reads the plain entries of a SQLite ledger, nearly all of them, in the shortest form in which they can be verified.

SQLite spells header and caller itself, which is several times as fast as to read every column and spell them in Python.
An entry is plain where it has no content and nothing was taken out of it. Whatever does not come out as its hash says
is looked at again column by column (guard.ledger_verifying), so a difference in spelling costs time and no truth.
Judges nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, literal_column, select

from guard.ledger_form import CALLER, HEADER, SCHEMA
from guard.ledger_schema import entry_table, match_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection

_TABLE = entry_table.c
PLAIN = and_(
    _TABLE.schema == SCHEMA,
    _TABLE.content_digest.is_(None),
    _TABLE.content.is_(None),
    _TABLE.body.is_(None),
    _TABLE.caller_salt.is_not(None),
)


class PlainRow(NamedTuple):
    """A plain entry; `header` and `caller` are JSON."""

    seq: int
    writer: str
    number: int
    previous: str
    hash: str
    at: str
    caller_digest: str
    header: str
    caller: str


def _json(columns: dict[str, ColumnElement[Any]]) -> ColumnElement[str]:
    return func.json_object(
        *(part for name, column in columns.items() for part in (literal_column(f"'{name}'"), column))
    )


_QUERY = (
    select(
        *(_TABLE[name] for name in PlainRow._fields[:-2]),
        _json({name: _TABLE[name] for name in HEADER}),
        _json({name: _TABLE[column] for name, column in CALLER.items()}),
    )
    .where(PLAIN)
    .order_by(_TABLE.seq)
)


@contextmanager
def plain_rows(connection: Connection) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The plain entries in order, as tuples in the order of PlainRow.

    Raises sqlite3.Error in the middle of it where a value is no text or JSON cannot hold it.
    """
    driver: Any = connection.connection.driver_connection
    query = str(_QUERY.compile(connection, compile_kwargs={"literal_binds": True}))
    factory, driver.text_factory = driver.text_factory, str
    cursor = driver.cursor()
    try:
        cursor.arraysize = 1000
        yield cursor.execute(query)
    finally:
        cursor.close()
        driver.text_factory = factory


def littered(connection: Connection) -> frozenset[int]:
    """The plain entries that matches are noted for, which they should not be."""
    query = select(match_table.c.seq).join(entry_table, _TABLE.seq == match_table.c.seq).where(PLAIN)
    return frozenset(connection.execute(query).scalars())
