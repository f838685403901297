"""The database of the accounts: its tables and how it is opened, on SQLite and PostgreSQL.

Does not know what an organization or a key may do.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.schema import CreateColumn, CreateTable

from guard.sqlite_file import make_private
from service.errors import AccountsUnavailableError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

LABEL_LIMIT = 200
SUBJECT_LIMIT = 255

metadata = MetaData()
organizations_table = Table(
    "organizations",
    metadata,
    Column("slug", String(63), primary_key=True),
    Column("created", String(32), nullable=False),
    Column("license_policy", JSON, nullable=False),
)
keys_table = Table(
    "api_keys",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("org", ForeignKey("organizations.slug"), nullable=False, index=True),
    Column("scopes", JSON, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("label", String(LABEL_LIMIT), nullable=False),
    Column("created", String(32), nullable=False),
    Column("revoked", String(32), nullable=True),
    Column("requests_per_minute", BigInteger, nullable=True),
    Column("tokens_per_day", BigInteger, nullable=True),
)
# Laid out once: that takes longer than to ask.
KEYS_OF = (
    select(keys_table, organizations_table.c.license_policy)
    .join(organizations_table)
    .where(keys_table.c.id.in_(bindparam("ids", expanding=True)))
)
"""The keys of the list `ids`, each with its organization's policy."""
# No foreign keys: removing an organization or a key does not wait for its sessions, which end by being looked up.
sessions_table = Table(
    "console_sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("org", String(63), nullable=False),
    Column("key_id", String(12), nullable=True),
    Column("subject", String(SUBJECT_LIMIT), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("expires", BigInteger, nullable=False),
)


@contextmanager
def refusing(engine: Engine) -> Iterator[None]:
    """The one place where an exception of the database becomes AccountsUnavailableError."""
    try:
        yield
    except SQLAlchemyError as error:
        message = (
            f"the account database at {engine.url!r} does not answer ({type(error).__name__}): "
            "check CLEANROOM_LEDGER_URL, its disk and its permissions"
        )
        raise AccountsUnavailableError(message) from error


def open_database(url: str) -> Engine:
    """Open the database and make the tables and columns it lacks.

    SQLite is made durable and patient, and private to its user.

    Raises SetupError on a URL that cannot be used and AccountsUnavailableError when the database does not answer.
    """
    try:
        parsed = make_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        engine = create_engine(parsed, pool_pre_ping=not sqlite, hide_parameters=True)
    except (ArgumentError, SQLAlchemyError, ImportError) as error:
        raise _unusable(str(error)) from None
    if sqlite:
        if parsed.database in {None, "", ":memory:"}:
            reason = "what SQLite keeps in memory is gone when the process ends"
            raise _unusable(reason)
        path = Path(str(parsed.database))
        try:
            make_private(path)
        except OSError as error:
            message = (
                f"{path} cannot be made ({error.strerror}): set CLEANROOM_HOME or CLEANROOM_LEDGER_URL to another place"
            )
            raise SetupError(message) from None
        event.listen(engine, "connect", _prepare_sqlite)
    with refusing(engine), engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
    with refusing(engine):
        _add_columns(engine)
    return engine


def _add_columns(engine: Engine) -> None:
    """Give tables of an earlier version the columns that came since; all of them may be empty, so no row changes.

    Processes of that version go on meanwhile: they name the columns that they write and read.
    """
    for table in metadata.sorted_tables:
        for column in _missing(engine, table):
            name = engine.dialect.identifier_preparer.format_table(table)
            added = DDL(f"ALTER TABLE {name} ADD COLUMN {CreateColumn(column).compile(dialect=engine.dialect)}")  # type: ignore[no-untyped-call]
            try:
                with engine.begin() as connection:
                    connection.execute(added)
            except SQLAlchemyError:
                # Another process that starts now may have been faster.
                if column in _missing(engine, table):
                    raise


def _missing(engine: Engine, table: Table) -> list[Column[Any]]:
    there = {column["name"] for column in inspect(engine).get_columns(table.name)}
    return [column for column in table.columns if column.name not in there]


def _unusable(reason: str) -> SetupError:
    message = (
        f"CLEANROOM_LEDGER_URL is no usable database ({reason}): write sqlite:///PATH, or "
        "postgresql+psycopg://USER:PASSWORD@HOST/NAME after `pip install 'cleanroom[postgres]'`"
    )
    return SetupError(message)


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
