"""The tables of reviews, in the database of the ledger. Does not know what an entry or a judgement says.

They hold what people add to the ledger and no copy of it, so that redaction there needs nothing done here.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    select,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from service.review.cursors import KEY_BYTES

if TYPE_CHECKING:
    from guard.ledger_database import Database

NOTE_LIMIT = 4_000
"""Characters of a reviewer's note."""

metadata = MetaData()
_ROW = BigInteger().with_variant(Integer, "sqlite")

# Secrets that only this database knows: what seals cursors.
secret_table = Table(
    "review_secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(128), nullable=False),
)

# Every judgement that was ever made; rows are only added. `party`: for whom it was made, an organization or `*`.
judgement_table = Table(
    "review_judgements",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("decision_id", String(128), nullable=False, index=True),
    Column("party", String(63), nullable=False),
    Column("org", String(63), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Column("disposition", String(16), nullable=False),
    Column("note", Text, nullable=False),
)

# The newest judgement of a leak for each party; for `*` the newest of anybody. `seq` is the ledger's row.
standing_table = Table(
    "review_standings",
    metadata,
    Column("party", String(63), primary_key=True),
    Column("decision_id", String(128), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("disposition", String(16), nullable=False),
)
Index("review_standings_by_disposition", standing_table.c.party, standing_table.c.disposition, standing_table.c.seq)


# What was noticed over many entries (service.review.alerts): once for a subject and day, in the order of noticing.
# `org` is the caller's whose reviewers are told, "" for none.
alert_table = Table(
    "review_alerts",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("at", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("day", String(10), nullable=False),
    Column("org", String(63), nullable=False),
    Column("details", Text, nullable=False),
    UniqueConstraint("kind", "subject", "day", name="review_alerts_once"),
)

# The webhook that an organization set; `key_id` is the key that set it.
hook_table = Table(
    "review_hooks",
    metadata,
    Column("org", String(63), primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("key_id", String(64), nullable=False),
)

# What a webhook is still to be told: the name of a leak or of an alert, and from when on (seconds since 1970). `party`
# is whose webhook it is: an organization's, or the operator's, `*`.
outbox_table = Table(
    "review_deliveries",
    metadata,
    Column("id", _ROW, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False, index=True),
    Column("party", String(63), nullable=False, index=True),
)

# How far ledger and alerts were put into the outbox, for each party.
place_table = Table(
    "review_reached",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("party", String(63), primary_key=True),
    Column("place", BigInteger, nullable=False),
)

# Documents whose copies may pass (service.review.exceptions). `kind`: what they count as; `org`: for whom, "" for all;
# `until` in seconds since 1970; `ended` is how it ended, "" while it stands. Rows stay.
exception_table = Table(
    "review_exceptions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("owner", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("org", String(63), nullable=False),
    Column("decision_id", String(128), nullable=False),
    Column("party", String(63), nullable=False),
    Column("maker", String(63), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Column("until", Float, nullable=False),
    Column("note", Text, nullable=False),
    Column("ended", String(16), nullable=False, index=True),
    Column("ended_at", String(32), nullable=False),
)


def make_tables(database: Database) -> None:
    """Make the tables that are missing. Raises LedgerError."""
    with database.refusing("prepared for reviews"):
        with database.reading() as connection:
            there = set(inspect(connection).get_table_names())
        if there >= metadata.tables.keys():
            return
        with database.writing(alone=True) as connection:
            for table in metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                for index in sorted(table.indexes, key=lambda one: str(one.name)):
                    connection.execute(CreateIndex(index, if_not_exists=True))


def kept_secret(database: Database, name: str) -> bytes:
    """The secret of that name, made at its first use; all processes of a database have the same. Raises LedgerError."""
    query = select(secret_table.c.value).where(secret_table.c.name == name)
    with database.refusing("read"):
        with database.reading() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is None:
            with database.writing(alone=True) as connection:
                found = connection.execute(query).scalar_one_or_none()
                if found is None:
                    found = secrets.token_hex(KEY_BYTES)
                    connection.execute(secret_table.insert(), {"name": name, "value": found})
    return bytes.fromhex(found)
