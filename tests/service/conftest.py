"""A real server over real accounts and a real ledger; the model and the guard's index are scripted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog
from samples.in_thread import served_in_thread
from samples.scripted import ScriptedEngine, ScriptedGuard

from guard.ledger import Ledger
from service.accounts import Accounts, Scope
from service.parts import Services
from service.review.reviews import Reviews
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _silence() -> None:
    """Log to nowhere; servers in threads would write between the tests."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())


@pytest.fixture(scope="session")
def make_guard() -> type[ScriptedGuard]:
    return ScriptedGuard


@pytest.fixture
def guard() -> ScriptedGuard:
    return ScriptedGuard()


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'cleanroom.db'}"


@pytest.fixture
def ledger_url(database: str) -> str:
    """The ledger's database, which need not be that of the accounts."""
    return database


@pytest.fixture
def accounts(database: str) -> Iterator[Accounts]:
    with Accounts(database) as accounts:
        accounts.add_organization("acme")
        accounts.add_organization("globex")
        yield accounts


@pytest.fixture
def make_services(
    tmp_path: Path, accounts: Accounts, engine: ScriptedEngine, guard: ScriptedGuard, ledger_url: str
) -> Iterator[Callable[..., Services]]:
    """Services over the scripted engine and guard; keywords are settings."""
    ledger = Ledger(ledger_url)
    reviews = Reviews(ledger, ledger_url)

    def make(**settings: object) -> Services:
        return Services(load_settings(home=tmp_path, **settings), accounts, engine, guard, ledger, reviews=reviews)

    yield make
    reviews.close()
    ledger.close()


@pytest.fixture
def parts(services: Services, engine: ScriptedEngine, guard: ScriptedGuard) -> SimpleNamespace:
    """Services, and what is scripted of them."""
    return SimpleNamespace(services=services, engine=engine, guard=guard, ledger=services.ledger)


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services()


@pytest.fixture
def running() -> Callable[[Services], object]:
    """Serves services over HTTP in a thread, for a `with` that gets the URL."""
    return served_in_thread


@pytest.fixture
def secret(accounts: Accounts) -> str:
    """A key of acme that may ask for completions."""
    return accounts.create_key("acme", frozenset({Scope.COMPLETE}))[1]


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Services]]:
    """One server for all tests that leave it as it was."""
    home = tmp_path_factory.mktemp("shared")
    database = f"sqlite:///{home / 'cleanroom.db'}"
    with Accounts(database) as accounts, Ledger(database) as ledger, Reviews(ledger, database) as reviews:
        settings = load_settings(home=home)
        services = Services(settings, accounts, ScriptedEngine(), ScriptedGuard(), ledger, reviews=reviews)
        accounts.add_organization("acme")
        with served_in_thread(services) as url:
            yield url, services


@pytest.fixture
def world(_shared: tuple[str, Services]) -> Iterator[SimpleNamespace]:
    """A running server with everything behind it, and a client of acme with a key of its own."""
    url, services = _shared
    engine: Any = services.engine
    guard: Any = services.guard
    engine.__init__()
    guard.__init__()
    accounts = services.accounts
    _, secret = accounts.create_key("acme", frozenset({Scope.COMPLETE}))
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=30) as client:
        yield SimpleNamespace(
            url=url,
            client=client,
            secret=secret,
            engine=engine,
            guard=guard,
            accounts=accounts,
            ledger=services.ledger,
        )
