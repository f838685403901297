"""A PostgreSQL that tests of the ledger and its reviews share, one after the other."""

from __future__ import annotations

from guard.ledger import Ledger
from guard.ledger_schema import metadata as ledger_metadata
from service.review.review_schema import metadata as review_metadata
from service.review.reviews import Reviews

TABLES = ", ".join([*ledger_metadata.tables, *review_metadata.tables])


def empty_postgresql(server: str) -> None:
    """Make the tables where there are none, and empty them."""
    with Ledger(server) as ledger, Reviews(ledger, server), ledger._database.writing() as connection:
        connection.exec_driver_sql(f"TRUNCATE {TABLES} RESTART IDENTITY")
