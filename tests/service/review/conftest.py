"""A real ledger, and reviews over it, on every kind of database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from samples.hooks import Hook
from samples.leaks import Leaks
from samples.postgresql import empty_postgresql

from guard.ledger import Ledger
from service.review.reviews import Reviews

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, database: str) -> str:
    if request.param == "sqlite":
        return database
    server = os.environ.get("CLEANROOM_TEST_POSTGRES_URL")
    if not server:
        pytest.skip("CLEANROOM_TEST_POSTGRES_URL is not set")
    empty_postgresql(server)
    return server


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as ledger:
        yield ledger


@pytest.fixture
def leaks(ledger: Ledger) -> Leaks:
    return Leaks(ledger)


@pytest.fixture
def reviews(ledger: Ledger, ledger_url: str) -> Iterator[Reviews]:
    with Reviews(ledger, ledger_url) as reviews:
        yield reviews


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    hook.thread.start()
    yield hook
    hook.server.shutdown()
    hook.thread.join()
    hook.server.server_close()
