"""The ledger's database: how it is opened, migrated and locked for writing, on SQLite and PostgreSQL.

Does not know what an entry says or how entries are chained; the tables are in guard.ledger_schema, and how they came
about in guard/ledger_migrations (Alembic, one transaction for all that a database lacks).
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

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
ALONE = 0x636C65616E
URL_FORMS = "sqlite:///PATH, or postgresql+psycopg://USER:PASSWORD@HOST/NAME after `pip install 'cleanroom[postgres]'`"

MIGRATIONS = Path(__file__).parent / "ledger_migrations"
VERSION = "2"
"""The newest of the migrations: the database of this version of Cleanroom."""
MIGRATING_SECONDS = 900.0
"""So long another process may take to migrate the entries of a large ledger."""


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
            try:
                if self._version() != VERSION:
                    self._migrate()
            except BaseException:
                self.close()
                raise
            if self._file is not None and os.access(self._file, os.W_OK):
                keep_private(self._file)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _version(self) -> str | None:
        # Looked up first: a copy that may only be read is one that an auditor can verify.
        with self.reading() as connection:
            if not inspect(connection).has_table("ledger_version"):
                return None
            return connection.exec_driver_sql("SELECT version_num FROM ledger_version").scalar_one_or_none()

    def _migrate(self) -> None:
        """Bring the database to VERSION, one process at a time, all or nothing."""
        # Alembic takes long to import, and is needed once in a database's life.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        with self.writing(MIGRATING_SECONDS, alone=True) as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, VERSION)
            except CommandError as error:
                message = f"the ledger {self.name} is from a newer version of Cleanroom ({error}): use that one"
                raise LedgerError(message) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, patience: float = PATIENCE_SECONDS, *, alone: bool = False) -> Iterator[Connection]:
        """A writing transaction; waits at most `patience` seconds for its place.

        On SQLite it is the one among all processes. On PostgreSQL others may write meanwhile, unless `alone`.
        """
        options = {"patience": int(1000 * patience), "alone": alone}
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
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
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON", "secure_delete = ON"):
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
    options = connection.get_execution_options()
    if "patience" in options:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {options['patience']:d}")
    if options.get("alone"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ALONE})")


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
