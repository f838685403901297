"""A real service over a real index, before a fast model that goes on by heart with whichever file is begun."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import structlog
from samples.engine import TestEngine
from samples.in_thread import served_in_thread

from guard.check import Guard, GuardQuery, warm
from guard.digest import Digester
from guard.index import Index
from guard.ledger import Ledger
from guard.secret import IndexKey
from guard.store import open_store
from guard.types import Action, Owner
from service.accounts import Accounts, Scope
from service.engines.protocol import Chunk, EnginePrompt, Sampling
from service.engines.stops import StopFilter
from service.parts import Services
from service.review.reviews import Reviews
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


PATIENCE = 5.0
REMEMBERED = 60
"""Characters of a prompt's end by which a text is recognized."""


@dataclass(kw_only=True)
class Reciting(TestEngine):
    """Goes on with one of `texts`, a token each `pause` seconds."""

    name: str = "reciting"
    model: str = "reciting-1"
    piece: int = 4
    pause: float = 0.0
    texts: list[str] = field(default_factory=list)
    prompts: list[EnginePrompt] = field(default_factory=list)
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    stopped_at: float = 0.0

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        self.prompts.append(prompt)
        text, stops = self.recited(prompt.text), StopFilter(sampling.stop)
        pieces = [text[start : start + self.piece] for start in range(0, len(text), self.piece)]
        self.began.release()
        try:
            for piece in pieces[: sampling.max_tokens]:
                if self.pause:
                    await asyncio.sleep(self.pause)
                yield Chunk(stops.feed(piece), tokens=1)
                if stops.stopped:
                    break
            ended = stops.stopped or len(pieces) <= sampling.max_tokens
            yield Chunk(stops.flush(), finish_reason="stop" if ended else "length")
        finally:
            self.stopped_at = time.monotonic()
            self.ended.release()

    def recited(self, prompt: str) -> str:
        """What stands behind the longest end of the prompt that stands in one of the texts."""
        for size in range(min(len(prompt), REMEMBERED), 2, -1):
            for text in self.texts:
                place = text.find(prompt[-size:])
                if place >= 0:
                    return text[place + size :]
        return self.texts[0]


class RecitingService:
    """The service, on one port for as long as it is open; `key` is that of the organization "acme".

    `reviewed`: leaks can be seen, as in the console.
    """

    def __init__(self, home: Path, *, reviewed: bool = False) -> None:
        structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
        warm()
        self._stack = ExitStack()
        self._settings = load_settings(home=home, check_timeout=PATIENCE)
        store = self._stack.enter_context(open_store(None, home, check_timeout=PATIENCE))
        index_key = IndexKey(bytes(range(32)))
        self.index, self._digester = Index(store, index_key, home), Digester(index_key)
        self.index.create()
        self.guard, self.engine = Guard(self.index, self._digester), Reciting()
        self.accounts = self._stack.enter_context(Accounts(self._settings.database_url))
        self.ledger = self._stack.enter_context(Ledger(self._settings.database_url))
        self.accounts.add_organization("acme")
        self.key_id, self.key = self._new_key()
        reviews = self._stack.enter_context(Reviews(self.ledger, self._settings.database_url)) if reviewed else None
        self.services = Services(self._settings, self.accounts, self.engine, self.guard, self.ledger, reviews=reviews)
        self._victim = self.index.owner_id(Owner.organization("victim"))
        self._port = 0
        self._running: ExitStack | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._stack.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; again on the port of the first time."""
        self._running = ExitStack()
        url = self._running.enter_context(served_in_thread(self.services, self._port))
        self._port = int(url.rpartition(":")[2])

    def stop(self) -> None:
        if self._running is not None:
            self._running.close()
        self._running = None

    def learn(self, path: str, text: str) -> None:
        """From now on this is private code of somebody else."""
        self.index.put(self._victim, self._digester.digest(path, text, "python"))

    def unlearn(self, path: str) -> None:
        """From now on it is not."""
        self.index.remove(Owner.organization("victim"), path)

    def lets_out(self, prefix: str, text: str) -> bool:
        """Whether the guard has nothing against `text` behind `prefix`, just now."""
        return self.guard.check(GuardQuery(text=text, caller="acme", prefix=prefix)).action is not Action.BLOCK

    def revoke(self) -> None:
        """The key is good no more; the next one is `key`."""
        self.accounts.revoke_key(self.key_id)
        self.key_id, self.key = self._new_key()

    def counted(self, language: str, outcome: str) -> int:
        """Completions in editors that came to this outcome."""
        labels = {"model": self.engine.model, "language": language, "outcome": outcome}
        value = self.services.metrics.registry.get_sample_value("cleanroom_suggestions_total", labels)
        return int(value or 0)

    def _new_key(self) -> tuple[str, str]:
        record, secret = self.accounts.create_key("acme", frozenset({Scope.COMPLETE}))
        return record.id, secret
