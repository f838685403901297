"""A real server over real accounts and a real ledger; the model and the guard's index are scripted."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest
import structlog
import uvicorn

from guard.ledger import Ledger
from guard.types import Action, Decision, Match, MatchKind, Owner
from guard.watch import Caution, Hold
from service.accounts import Accounts, Scope
from service.app import create_app
from service.engines.protocol import Chunk, EnginePrompt, Sampling, TokenLogprobs
from service.errors import EngineError
from service.parts import Services
from service.review.reviews import Reviews
from service.server import claim_port, configured
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from guard.check import GuardQuery
    from published.infilling import FillInTheMiddle

PRIVATE = Owner.organization("globex")
DENIED = Owner.licensed("pylint", "GPL-2.0-or-later")
CITED = Owner.licensed("attrs", "MIT")
# A line with one of these words is somebody's code.
CODE_OF = {
    "PRIVATE": (PRIVATE, Action.BLOCK),
    "DENIED": (DENIED, Action.BLOCK),
    "CITED": (CITED, Action.CITE),
}


@dataclass
class ScriptedEngine:
    """Writes `texts` in turn, in chunks of `piece` characters, each a token."""

    name: str = "scripted"
    model: str = "scripted-1"
    context_window: int = 0
    opening_tokens: int = 0
    fill_in_the_middle: FillInTheMiddle | None = None
    native_suffix: bool = True
    steers: bool = False
    capacity: int = 256
    tells_logprobs: bool = True
    texts: list[str] = field(default_factory=lambda: ["return 1\n"])
    piece: int = 4
    seconds: float = 0
    finish_reason: Literal["stop", "length"] = "length"
    counts: bool = True
    prompt_tokens: int | None = None
    told: Literal["first", "last"] = "first"
    error: Exception | None = None
    stuck: bool = False
    fails_from: int | None = None
    asked: list[tuple[EnginePrompt, Sampling]] = field(default_factory=list)
    started: bool = False
    closed: bool = False
    generating: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    adapters: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model, *self.adapters)

    async def start(self) -> None:
        self.started = True
        self._fail()

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        self.closed = True

    async def ready(self) -> None:
        self._fail()

    async def count_tokens(self, text: str) -> int | None:
        return -(-len(text) // self.piece) if self.counts else None

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        text = self.texts[len(self.asked) % len(self.texts)]
        drawn = len(prompt.written)
        # As engines count: what is taken up again is prompt to them.
        asked = None if self.prompt_tokens is None else self.prompt_tokens + drawn
        if self.fails_from is not None and len(self.asked) >= self.fails_from:
            self.error = EngineError("broken")
        self.asked.append((prompt, sampling))
        self.generating.set()
        try:
            for start in range(0, len(text), self.piece):
                drawn += 1
                piece = text[start : start + self.piece]
                # Alternatives are what nobody may see, whoever asked for them.
                token = TokenLogprobs(piece, -drawn / 8, ((piece, -drawn / 8), ("UNSEEN", -9.0)))
                told = (token,) if sampling.logprobs is not None else ()
                first = asked if self.told == "first" else None
                yield Chunk(piece, 1, None, first, (drawn,) if self.steers else None, told)
                await asyncio.sleep(self.seconds)
            while self.stuck and not self.go_on.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.005)
            self._fail()
            # A model that stops has drawn one more token, the end of text.
            yield Chunk("", int(self.finish_reason == "stop"), self.finish_reason, asked)
        except BaseException:
            # Closing may take a moment and must be allowed to.
            await asyncio.sleep(0.01)
            self.cancelled.set()
            raise


@dataclass
class ScriptedWatch:
    """Holds what begins like a word that is blocked."""

    guard: ScriptedGuard
    query: GuardQuery

    def look(self, text: str) -> Hold:
        if self.guard.error is not None:
            raise self.guard.error
        owners = {word: owner for word, (owner, action) in CODE_OF.items() if action is Action.BLOCK}
        blocked = [word for word, owner in owners.items() if owner.name != self.query.caller]
        starts = [at for at in range(len(text)) for word in blocked if word.startswith(text[at : at + len(word)])]
        start = min(starts, default=len(text))
        safe = text.rfind("\n", 0, start) + 1 if starts else start
        return Hold(safe, any(word in text for word in blocked))


@dataclass
class ScriptedGuard:
    """Finds the words of CODE_OF; refuses with `error`."""

    error: Exception | None = None
    queries: list[GuardQuery] = field(default_factory=list)
    standing: bytes = b"state"

    def ready(self) -> None:
        if self.error is not None:
            raise self.error

    def state(self) -> bytes:
        self.ready()
        return self.standing

    def watch(self, query: GuardQuery, caution: Caution) -> ScriptedWatch:
        del caution
        return ScriptedWatch(self, query)

    def look(self, growing: Sequence[tuple[ScriptedWatch, str]]) -> list[Hold]:
        return [watch.look(text) for watch, text in growing]

    def check(self, query: GuardQuery) -> Decision:
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        matches = tuple(
            Match(MatchKind.EXACT, start, start + len(word), 9, 1.0, owner, "src/a b.py", owner.license, action, word)
            for word, (owner, action) in CODE_OF.items()
            if owner.name != query.caller
            for start in range(len(query.text))
            if query.text.startswith(word, start)
        )
        action = max((match.action for match in matches), default=Action.ALLOW, key=list(Action).index)
        return Decision(f"dec_{secrets.token_hex(8)}", action, matches, len(query.text), 0.5)


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
    return _running


@contextmanager
def _running(services: Services) -> Iterator[str]:
    listener = claim_port("127.0.0.1", 0)
    server = uvicorn.Server(configured(create_app(services), services.settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


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
        with _running(services) as url:
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
