"""A model and a guard that do what a test says: the parts of a service that cost minutes, or need a leak at a place."""

from __future__ import annotations

import asyncio
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from guard.types import Action, Decision, Match, MatchKind, Owner
from guard.watch import Caution, Hold
from service.engines.protocol import Chunk, EnginePrompt, Sampling, TokenLogprobs
from service.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

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
