"""A real ledger, and reviews over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from samples.leaks import Leaks

from guard.ledger import Ledger
from service.review.reviews import Reviews

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ledger(database: str) -> Iterator[Ledger]:
    with Ledger(database) as ledger:
        yield ledger


@pytest.fixture
def leaks(ledger: Ledger) -> Leaks:
    return Leaks(ledger)


@pytest.fixture
def reviews(ledger: Ledger, database: str) -> Iterator[Reviews]:
    with Reviews(ledger, database) as reviews:
        yield reviews
