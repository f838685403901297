"""Reads the plain entries of a ledger, nearly all of them, in the shortest form in which they can be verified.

The database spells header and caller itself, which is several times as fast as to read every column and spell them in
Python. An entry is plain where it is a decision of today's schema, whole or redacted. Whatever does not come out as its
hash says is looked at again column by column (guard.ledger_verifying), so a difference in spelling costs time and no
truth. Judges nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sqlalchemy import Text, and_, case, cast, func, literal_column, select

from guard.ledger_form import CALLER, HEADER, SCHEMA
from guard.ledger_schema import entry_table, match_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection, Select

AT_ONCE = 2000
"""Rows that PostgreSQL hands over at a time."""
MATCH = ("place", "owner", "kind", "license", "action", "document", "tokens")
"""What is compared of a match, in the order of guard.ledger_form.match_rows."""
_TABLE = entry_table.c
PLAIN = and_(_TABLE.schema == SCHEMA, _TABLE.event.is_(None), _TABLE.body.is_(None))


class PlainRow(NamedTuple):
    """A plain entry; `header` and `caller` are JSON, `caller` None once redacted."""

    seq: int
    writer: str
    number: int
    previous: str
    hash: str
    at: str
    action: str
    caller_digest: str
    content_digest: str | None
    content: str | None
    header: str
    caller: str | None


Tuples: TypeAlias = "Iterator[Any]"
"""Of rows of a database, which are tuples."""


@contextmanager
def plain_rows(connection: Connection) -> Iterator[tuple[Tuples, Tuples]]:
    """The plain entries in order, as tuples in the order of PlainRow, and all matches: `seq`, then as MATCH.

    Raises sqlite3.Error in the middle of it where a value is no text or JSON cannot hold it.
    """
    if connection.dialect.name != "sqlite":
        streamed = connection.execution_options(yield_per=AT_ONCE)
        with streamed.execute(_entries(_spelled_by_postgresql)) as entries, streamed.execute(_MATCHES) as matches:
            yield iter(entries), iter(matches)
        return
    driver: Any = connection.connection.driver_connection
    factory, driver.text_factory = driver.text_factory, str
    cursors = []
    try:
        for query in (_entries(_spelled_by_sqlite), _MATCHES):
            cursors.append(driver.cursor())
            cursors[-1].execute(str(query.compile(connection, compile_kwargs={"literal_binds": True})))
        yield cursors[0], cursors[1]
    finally:
        for cursor in cursors:
            cursor.close()
        driver.text_factory = factory


_MATCHES = select(match_table.c.seq, *(match_table.c[name] for name in MATCH)).order_by(
    match_table.c.seq, match_table.c.place
)


def _entries(spelled: Any) -> Select[Any]:  # noqa: ANN401 - one of the two below
    caller = {name: _TABLE[column] for name, column in CALLER.items()}
    redacted = and_(*(column.is_(None) for column in caller.values()))
    return (
        select(
            *(_TABLE[name] for name in PlainRow._fields[:-2]),
            spelled({name: _TABLE[name] for name in HEADER}),
            case((redacted, None), else_=spelled(caller)),
        )
        .where(PLAIN)
        .order_by(_TABLE.seq)
    )


def _spelled_by_sqlite(columns: dict[str, ColumnElement[Any]]) -> ColumnElement[str]:
    return func.json_object(
        *(part for name, column in columns.items() for part in (literal_column(f"'{name}'"), column))
    )


def _spelled_by_postgresql(columns: dict[str, ColumnElement[Any]]) -> ColumnElement[str]:
    # Its own objects have spaces.
    parts: list[Any] = []
    for name, column in columns.items():
        parts += [f'{"," if parts else "{"}"{name}":', func.coalesce(cast(func.to_json(column), Text), "null")]
    return func.concat(*parts, "}")
