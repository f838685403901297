"""A chain for each writer, the columns that a review filters by, matches in rows of their own, and signed heads.

The old chain stays as it is, its entries under the writer `first` with their bodies, so that heads noted down before
still hold. Copied inside the database first: whatever somebody made of an old row, it is not lost.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from guard.ledger_old import fill

revision = "2"
down_revision = "1"
branch_labels = None
depends_on = None

ROW = sa.BigInteger().with_variant(sa.Integer, "sqlite")
LEAK = sa.text("severity IS NOT NULL")
EVENT = sa.text("event IS NOT NULL")
WAITING = sa.text("exported IS NULL")

COPY = """
INSERT INTO ledger_entries (seq, writer, number, schema, at, decision_id, action, disposition, tokens, surface, model,
  index_version, checked_tokens, guard_us, released_characters, generated_characters, org, previous, hash, body)
SELECT seq, 'first', seq, 2, at, decision_id, action, '', 0, '', '', 0, 0, 0, 0, 0, org, previous, hash, body
FROM ledger ORDER BY seq
"""
# The copied rows were numbered by hand.
GO_ON = "SELECT setval(pg_get_serial_sequence('ledger_entries', 'seq'), (SELECT max(seq) FROM ledger_entries))"


def upgrade() -> None:
    """Make the tables, move the entries over and drop the old ones."""
    _make_entries()
    _make_matches()
    _make_heads()
    connection = op.get_bind()
    connection.exec_driver_sql(COPY)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(GO_ON)
    fill(connection)
    op.drop_table("ledger_owners")
    op.drop_table("ledger")


def _make_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("seq", ROW, primary_key=True),
        sa.Column("writer", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("event", sa.String(32)),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("decision_id", sa.String(128), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("disposition", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(8)),
        sa.Column("kind", sa.String(16)),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("surface", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("release", sa.Text),
        sa.Column("index_version", sa.BigInteger, nullable=False),
        sa.Column("policy", sa.Text),
        sa.Column("checked_tokens", sa.BigInteger, nullable=False),
        sa.Column("guard_us", sa.BigInteger, nullable=False),
        sa.Column("released_characters", sa.BigInteger, nullable=False),
        sa.Column("generated_characters", sa.BigInteger, nullable=False),
        sa.Column("org", sa.String(63)),
        sa.Column("key_id", sa.Text),
        sa.Column("caller_salt", sa.String(32)),
        sa.Column("caller_digest", sa.String(64)),
        sa.Column("content", sa.Text),
        sa.Column("content_digest", sa.String(64)),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("body", sa.Text),
        sa.UniqueConstraint("decision_id", name="ledger_entries_by_decision"),
        sa.UniqueConstraint("writer", "number", name="ledger_entries_by_chain"),
    )
    for name in ("at", "action", "org"):
        op.create_index(f"ledger_entries_by_{name}", "ledger_entries", [name, "seq"])
    op.create_index("ledger_events", "ledger_entries", ["event", "seq"], sqlite_where=EVENT, postgresql_where=EVENT)
    op.create_index("ledger_leaks", "ledger_entries", ["seq"], sqlite_where=LEAK, postgresql_where=LEAK)
    for name in ("at", "org", "severity", "kind", "disposition", "model", "release", "key_id"):
        op.create_index(
            f"ledger_leaks_by_{name}", "ledger_entries", [name, "seq"], sqlite_where=LEAK, postgresql_where=LEAK
        )


def _make_matches() -> None:
    op.create_table(
        "ledger_matches",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("ledger_entries.seq"), primary_key=True, autoincrement=False),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("license", sa.Text),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
    )
    for name in ("owner", "license"):
        op.create_index(f"ledger_matches_by_{name}", "ledger_matches", [name, "seq"])


def _make_heads() -> None:
    op.create_table(
        "ledger_heads",
        sa.Column("id", ROW, primary_key=True),
        sa.Column("writer", sa.String(32), nullable=False),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.Column("exported", sa.String(40)),
    )
    op.create_index("ledger_heads_to_export", "ledger_heads", ["id"], sqlite_where=WAITING, postgresql_where=WAITING)
