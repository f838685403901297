"""How the ledger's database came to its tables, one file a step (Alembic). Run by guard.ledger_database."""
