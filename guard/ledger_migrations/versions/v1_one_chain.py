"""The ledger's first tables: one chain for all, and the owners of an entry's matches.

They may be there already, from before the database noted its version.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them where they are missing."""
    op.create_table(
        "ledger",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("decision_id", sa.String(128), nullable=False, unique=True),
        sa.Column("org", sa.String(63), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "ledger_owners",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("ledger.seq"), primary_key=True),
        if_not_exists=True,
    )
