"""The ledger's database: its tables and how it is opened and locked for writing, on SQLite and PostgreSQL.

Does not know what an entry says or how entries are chained.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from guard.errors import LedgerError
from guard.sqlite_file import keep_private, make_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

# Whoever waits for the ledger holds up a response that must be refused within a second.
PATIENCE_SECONDS = 0.8
# Less free space than this is a full disk: SQLite's write-ahead log grows before it is folded in.
FREE_BYTES = 16 << 20
# Names our lock among PostgreSQL's advisory locks.
APPENDERS = 0x636C65616E
URL_FORMS = "sqlite:///PATH, or postgresql+psycopg://USER:PASSWORD@HOST/NAME after `pip install 'cleanroom[postgres]'`"

metadata = MetaData()

# `body` is the canonical JSON that the chain is made of; the columns before it repeat parts of it for queries.
ledger_table = Table(
    "ledger",
    metadata,
    # In SQLite only INTEGER is the row's own number; BIGINT would let any value in.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("decision_id", String(128), nullable=False, unique=True),
    Column("org", String(63), nullable=False),
    Column("action", String(16), nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
actions = Index("ledger_by_action", ledger_table.c.action, ledger_table.c.seq)

# Whose code an entry's matches stand in: one row an owner and entry.
owner_table = Table(
    "ledger_owners",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("seq", ForeignKey(ledger_table.c.seq), primary_key=True),
)
owned = Index("ledger_owners_by_entry", owner_table.c.seq)


class Database:
    """An open ledger database. Raises LedgerError where it cannot be opened or made."""

    def __init__(self, url: str) -> None:
        place = _parse(url)
        self.name = place.render_as_string(hide_password=True)
        self._file = _file(place)
        with self.refusing("opened"):
            if self._file is not None:
                make_private(self._file)
            self._engine = _engine(place)
            if not self._made():
                self._make()
            if self._file is not None and os.access(self._file, os.W_OK):
                keep_private(self._file)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _made(self) -> bool:
        # Looked up first: a copy that may only be read is one that an auditor can verify.
        return inspect(self._engine).has_table(owner_table.name)

    def _make(self) -> None:
        with self.writing() as connection:
            for table in (ledger_table, owner_table):
                connection.execute(CreateTable(table, if_not_exists=True))
            for index in (actions, owned):
                connection.execute(CreateIndex(index, if_not_exists=True))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, patience: float = PATIENCE_SECONDS) -> Iterator[Connection]:
        """The one writing transaction among all processes; waits for it at most `patience` seconds."""
        with self._engine.connect().execution_options(patience=int(1000 * patience)) as connection, connection.begin():
            yield connection

    @contextmanager
    def refusing(self, done: str) -> Iterator[None]:
        """Turn every error of the database into a LedgerError: the ledger cannot be `done`."""
        try:
            yield
        except (SQLAlchemyError, OSError, ImportError) as error:
            cause = str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0][:200]
            message = f"the ledger {self.name} cannot be {done} ({cause}): {_remedy(cause)}"
            raise LedgerError(message) from error

    def require_room(self) -> None:
        """Raise LedgerError where the disk under a SQLite file is all but full."""
        if self._file is None:
            return
        free = shutil.disk_usage(self._file.parent).free
        if free < FREE_BYTES:
            message = (
                f"the ledger {self.name} has {free >> 20} MiB of disk left: make room (at least {FREE_BYTES >> 20})"
            )
            raise LedgerError(message)


def _parse(url: str) -> URL:
    # Not repeated whole: it may carry a password.
    message = f"CLEANROOM_LEDGER_URL is no ledger that can be kept: write {URL_FORMS}"
    try:
        place = make_url(url)
        durable = bool(place.database) and place.database != ":memory:" and place.query.get("mode") != "memory"
    except (SQLAlchemyError, ValueError):
        raise LedgerError(message) from None
    if place.get_backend_name() not in ("sqlite", "postgresql") or not durable:
        raise LedgerError(message)
    return place


def _file(place: URL) -> Path | None:
    if place.get_backend_name() != "sqlite":
        return None
    return Path(str(place.database).removeprefix("file:")).absolute()


def _engine(place: URL) -> Engine:
    if place.get_backend_name() == "sqlite":
        engine = create_engine(
            place, connect_args={"timeout": PATIENCE_SECONDS}, pool_timeout=PATIENCE_SECONDS, hide_parameters=True
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        # 2 s is the least that libpq knows.
        engine = create_engine(
            place,
            connect_args={"connect_timeout": 2},
            pool_pre_ping=True,
            pool_timeout=PATIENCE_SECONDS,
            hide_parameters=True,
        )
        event.listen(engine, "begin", _begin_postgresql)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own connection
    # The driver leaves BEGIN to us: SELECT alone would not begin one.
    connection.isolation_level = None
    # A row that was tampered with may be no UTF-8: read it all the same, so that `verify` can name it.
    connection.text_factory = _decode
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _begin_sqlite(connection: Connection) -> None:
    patience = connection.get_execution_options().get("patience")
    if patience is None:
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience:d}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    patience = connection.get_execution_options().get("patience")
    if patience is not None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {patience:d}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({APPENDERS})")


def _remedy(cause: str) -> str:
    for sign, remedy in REMEDIES.items():
        if sign in cause.casefold():
            return remedy
    return "see whether the database runs and CLEANROOM_LEDGER_URL names it"


REMEDIES = {
    "readonly": "make the file and its directory writable",
    "read-only": "make it writable, or name the primary in CLEANROOM_LEDGER_URL",
    "permission": "give this user the right to write it",
    "is full": "make room on its disk",
    "no space": "make room on its disk",
    "locked": "another process holds it; end that, then try again",
    "lock timeout": "another process holds it; end that, then try again",
    "not a database": "restore the file, or name another in CLEANROOM_LEDGER_URL",
    "malformed": "restore the file, or name another in CLEANROOM_LEDGER_URL",
    "no module": f"CLEANROOM_LEDGER_URL is {URL_FORMS}",
}
