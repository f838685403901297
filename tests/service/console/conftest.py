"""A served console; the model and the guard's index are scripted, accounts, ledger and reviews are real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from consoles.served import ORGS, Console, month_of_leaks

from guard.ledger import Ledger
from service.accounts import Accounts, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.parts import Services


@pytest.fixture
def console(
    make_services: Callable[..., Services], running: Callable[[Services], Any], accounts: Accounts
) -> Iterator[Console]:
    """The console of acme, globex and an administrator, with no leak yet."""
    keys = {org: accounts.create_key(org, frozenset({Scope.REVIEW}), "review")[1] for org in ("acme", "globex")}
    keys["admin"] = accounts.create_key("acme", frozenset({Scope.ADMIN}), "admin")[1]
    services = make_services()
    with running(services) as url:
        yield Console(url, services, keys)


@pytest.fixture
def demo(
    make_services: Callable[..., Services], running: Callable[[Services], Any], accounts: Accounts
) -> Iterator[Console]:
    """The console of the demonstration's organizations after a month."""
    secrets, ids = {}, {}
    for org in ORGS:
        accounts.add_organization(org)
        secrets[org] = accounts.create_key(org, frozenset({Scope.REVIEW}), "review")[1]
        ids[org] = accounts.create_key(org, frozenset({Scope.COMPLETE}), "developers")[0].id
    secrets["admin"] = accounts.create_key(ORGS[0], frozenset({Scope.ADMIN}), "administration")[1]
    services = make_services()
    assert isinstance(services.ledger, Ledger)
    month_of_leaks(services.ledger, ids)
    with running(services) as url:
        yield Console(url, services, secrets)
