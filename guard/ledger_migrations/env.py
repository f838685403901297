"""Runs the migrations on the connection of guard.ledger_database, within its transaction. Opens nothing itself."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="ledger_version",
    transactional_ddl=False,  # the caller's transaction is around all of them
)
context.run_migrations()
