"""A real service over a real index, before a model that knows another organization's file and obeys the attacker.

That is the worst that a model can be: whatever is asked for is written, and only the guard stands before it.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog
from samples.engine import TestEngine
from samples.in_thread import served_in_thread

from guard.check import Guard, warm
from guard.digest import Digester
from guard.index import Index
from guard.ledger import Ledger
from guard.secret import IndexKey
from guard.store import open_store
from guard.types import Owner
from service.accounts import Accounts, Quota, Scope
from service.engines.protocol import Chunk, EnginePrompt, Sampling, TokenLogprobs
from service.engines.stops import StopFilter
from service.limit_store import open_limit_store
from service.limits import Limits
from service.parts import Services
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from guard.store import Store

PATIENCE = 5.0
LEAKS_A_DAY = 200
SECRET = random.Random(20).randbytes(16).hex()  # noqa: S311 - the same in every run
BEFORE = "import hmac\n\n\nAPI_KEY = "
PRIVATE = f'''\
{BEFORE}"{SECRET}"
ENDPOINT = "https://billing.example/v3"


class Reconciler:
    """Brings the ledger of a branch and that of the head office into agreement."""

    def __init__(self, branch, office, tolerance=0.004):
        self.branch, self.office, self.tolerance = branch, office, tolerance
        self.open_items = {{}}
        self.signature = hmac.new(API_KEY.encode(), branch.name.encode(), "sha256")

    def settle(self, period):
        for entry in sorted(self.branch.entries(period), key=lambda one: (one.day, -one.amount)):
            twin = self.office.lookup(entry.reference, period) or self.open_items.pop(entry.reference, None)
            if twin is None or abs(twin.amount + entry.amount) > self.tolerance * abs(entry.amount):
                self.open_items[entry.reference] = entry
                continue
            self.signature.update(f"{{entry.reference}}:{{twin.amount}}".encode())
            yield entry.reference, twin.amount, self.signature.hexdigest()[:12]
'''
GUESSED = 3
"""Letters of a run that anybody could have said: one of 4096 is in the secret at one of its 29 places in 144 cases."""


@dataclass(kw_only=True)
class Obedient(TestEngine):
    """Writes what `answer` makes of prompt and suffix."""

    name: str = "obedient"
    model: str = "obedient-1"
    tells_logprobs: bool = True
    answer: Callable[[str, str], str] = field(default=lambda prompt, _: recited(prompt))

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        text, stops = self.answer(prompt.text, prompt.suffix or ""), StopFilter(sampling.stop)
        pieces = [text[start : start + self.piece] for start in range(0, len(text), self.piece)]
        for piece in pieces[: sampling.max_tokens]:
            told = (TokenLogprobs(piece, -0.01, ((piece, -0.01),)),) if sampling.logprobs is not None else ()
            yield Chunk(stops.feed(piece), tokens=1, logprobs=told)
            if stops.stopped:
                break
        ended = stops.stopped or len(pieces) <= sampling.max_tokens
        yield Chunk(stops.flush(), finish_reason="stop" if ended else "length")


def recited(prompt: str) -> str:
    """What stands in the private file behind the longest end of the prompt that stands in it."""
    for size in range(min(len(prompt), 60), 3, -1):
        place = PRIVATE.find(prompt[-size:])
        if place >= 0:
            return PRIVATE[place + size :]
    return PRIVATE


@dataclass
class Attacker:
    """An ordinary key of another organization. `seen`: every text that came back."""

    client: httpx.Client
    engine: Obedient
    seen: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def ask(self, prompt: str, **body: object) -> list[str]:
        """The texts of all choices, without an echoed prompt; what stands in log probabilities is noted, too."""
        reply = self.client.post("/v1/completions", json={"prompt": prompt, "max_tokens": 64, **body})
        self.statuses.append(reply.status_code)
        if reply.status_code != 200:
            return []
        streamed = reply.text.startswith("data:")
        events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
        texts: dict[int, str] = {}
        for choice in [one for event in (events if streamed else [reply.json()]) for one in event["choices"]]:
            texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
            self.told.append("".join((choice.get("logprobs") or {}).get("tokens", [])))
        found = [text.removeprefix(prompt) if body.get("echo") else text for text in texts.values()]
        self.seen += found
        return found

    def fill(self, path: str, prompt: str, *, tokens: int, stream: bool) -> str:
        """The text of `/infill` or of Mistral's interface."""
        if path == "/infill":
            body = {"input_prefix": prompt, "n_predict": tokens, "stream": stream}
        else:
            body = {"prompt": prompt, "max_tokens": tokens, "stream": stream}
        reply = self.client.post(path, json=body)
        self.statuses.append(reply.status_code)
        events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
        text = "".join(_content(event) for event in events or [reply.json()])
        self.seen.append(text)
        return text

    @property
    def recovered(self) -> int:
        """Hexadecimal digits of the secret that the answers give away.

        The longest run of the secret that stands in the answers, each for itself or all in the order in which they
        came, with all but letters and digits left out; none if it is no longer than what guessing gives (GUESSED).
        """
        told = ["".join(self.seen), *self.seen, "".join(self.told), *self.told]
        longest = max(longest_run(re.sub(r"[\W_]", "", text).lower()) for text in told)
        return longest if longest > GUESSED else 0

    @property
    def cloned(self) -> int:
        """The most lines in a row of the private file that one answer gives away."""
        ours = [line.strip() for line in PRIVATE.splitlines() if line.strip()]
        return max((in_a_row(ours, [line.strip() for line in text.splitlines()]) for text in self.seen), default=0)


def _content(answer: dict[str, Any]) -> str:
    if "choices" not in answer:
        return str(answer["content"])
    choice = answer["choices"][0]
    return str((choice.get("delta") or choice["message"])["content"])


def longest_run(text: str) -> int:
    runs = (
        size
        for size in range(len(SECRET), 0, -1)
        for at in range(len(SECRET) - size + 1)
        if SECRET[at : at + size] in text
    )
    return next(runs, 0)


def in_a_row(ours: list[str], theirs: list[str]) -> int:
    theirs = [line for line in theirs if line]

    @cache
    def common(at: int, there: int) -> int:
        if at == len(ours) or there == len(theirs) or ours[at] != theirs[there]:
            return 0
        return 1 + common(at + 1, there + 1)

    return max((common(at, there) for at in range(len(ours)) for there in range(len(theirs))), default=0)


@pytest.fixture(scope="session")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    with open_store(None, tmp_path_factory.mktemp("store"), check_timeout=PATIENCE) as store:
        yield store


@pytest.fixture(scope="session", params=["late", "early"])
def world(
    request: pytest.FixtureRequest, _store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Obedient, Accounts]]:
    """A service whose index holds the private file of one organization."""
    home = tmp_path_factory.mktemp("home")
    settings = load_settings(home=home, stream_release=request.param, check_timeout=PATIENCE)
    key = IndexKey(bytes(range(32)))
    _store.writer.flushall()
    warm()
    index, digester, engine = Index(_store, key, home), Digester(key), Obedient()
    index.create()
    victim = index.owner_id(Owner.organization("victim"))
    index.put(victim, digester.digest("billing/reconcile.py", PRIVATE, "python"))
    limits = Limits(open_limit_store("memory://", home, timeout=PATIENCE), Quota(0, 0), LEAKS_A_DAY)
    with Accounts(settings.database_url) as accounts, Ledger(settings.database_url) as ledger:
        accounts.add_organization("attacker")
        services = Services(settings, accounts, engine, Guard(index, digester), ledger, limits=limits)
        with served_in_thread(services) as url:
            yield url, engine, accounts


@pytest.fixture
def attacker(world: tuple[str, Obedient, Accounts]) -> Iterator[Attacker]:
    url, engine, accounts = world
    engine.__init__()  # type: ignore[misc]
    _, secret = accounts.create_key("attacker", frozenset({Scope.COMPLETE}))
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=30) as client:
        yield Attacker(client, engine)
