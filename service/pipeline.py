"""The one way from a request to text that may leave. Read `Pipeline.answer` to see the whole product.

Knows neither HTTP nor which engine, store or database it works with.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
import time
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import structlog
from anyio import to_thread

from guard.check import GuardQuery
from guard.errors import RefusalError
from guard.ledger import LedgerRecord
from service.errors import EngineTimeoutError, GuardUnavailableError
from service.prompt import build_prompt
from service.release import Disposition, Finding, Release, release

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from service.accounts import Caller
    from service.engines.protocol import Chunk, EnginePrompt, Sampling
    from service.parts import Services

FinishReason = Literal["stop", "length", "content_filter"]

# Engines read a seed as 32 bits, some of them signed.
SEED_RANGE = 2**31
# Only where an engine counts nothing at all: about four characters of code make a token.
CHARACTERS_A_TOKEN = 4

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What a caller asks for: `n` continuations of every prompt. `surface` names the interface it came by."""

    caller: Caller
    prompts: tuple[str, ...]
    sampling: Sampling
    suffix: str | None = None
    n: int = 1
    surface: str = "completions"


@dataclass(frozen=True, slots=True)
class Generation:
    """What the engine wrote, before the guard. Never leaves this module."""

    text: str
    tokens: int
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Choice:
    """One checked continuation: all that a route may show of it. `tokens` counts the released text alone."""

    text: str
    finish_reason: FinishReason
    finding: Finding | None
    decision_id: str
    tokens: int
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to a request: `choices` by prompt, then by number."""

    model: str
    choices: tuple[Choice, ...]
    prompt_tokens: int
    completion_tokens: int


class Pipeline:
    """Binds engine, guard and ledger. Safe for many requests at once in one event loop."""

    def __init__(self, services: Services) -> None:
        self._engine = services.engine
        self._guard = services.guard
        self._ledger = services.ledger
        self._counters = services.counters
        self._request_timeout = services.settings.request_timeout
        self._cache_secret = secrets.token_bytes(32)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer every choice of a request; when one fails, none leaves and the others are stopped.

        Raises InvalidRequestError, EngineError or GuardUnavailableError.
        """
        with self._refusing():
            # Asked first too: a store that is down refuses at once, not after the engine has written for seconds.
            await to_thread.run_sync(self._guard.ready, abandon_on_cancel=True)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self.answer(request, prompt, number))
                    for prompt in request.prompts
                    for number in range(request.n)
                ]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        choices = tuple(task.result() for task in tasks)
        return Completion(
            self._engine.model,
            choices,
            prompt_tokens=sum(choice.prompt_tokens for choice in choices[:: request.n]),
            completion_tokens=sum(choice.tokens for choice in choices),
        )

    async def answer(self, request: CompletionRequest, text: str, number: int) -> Choice:
        """One continuation of the prompt `text`: prompt -> engine -> guard -> release -> ledger -> choice."""
        org, budget = request.caller.org, request.sampling.max_tokens
        prompt = await build_prompt(self._engine, text, request.suffix, budget, cache_key=self._cache_key(org))
        generation = await self._generate(prompt, _varied(request.sampling, number))
        query = GuardQuery(text=generation.text, caller=org, prefix=text, policy=request.caller.policy)
        with self._refusing():
            # A check only reads, so a caller who has gone need not be waited for ...
            released = await to_thread.run_sync(release, query, self._guard, abandon_on_cancel=True)
            record = LedgerRecord(
                decision=released.decision,
                org=org,
                key_id=request.caller.key_id,
                model=self._engine.model,
                surface=request.surface,
                disposition=released.disposition.value,
                released_characters=len(released.text),
                generated_characters=len(generation.text),
            )
            # ... but an entry once begun is written to its end, and before anything leaves.
            await to_thread.run_sync(self._ledger.append, record)
        self._note(generation, released)
        return Choice(
            text=released.text,
            finish_reason=_finish_reason(generation, released),
            finding=released.finding,
            decision_id=released.decision.id,
            tokens=await self._count(generation, released.text),
            prompt_tokens=await self._count_prompt(generation, prompt),
        )

    async def _generate(self, prompt: EnginePrompt, sampling: Sampling) -> Generation:
        """Collect one generation. Leaving early, by deadline or cancellation, closes the engine's stream."""
        texts: list[str] = []
        tokens = 0
        finish_reason: Literal["stop", "length"] = "stop"
        prompt_tokens = None
        began = time.monotonic()
        try:
            # asyncio's timeout cancels once, so that closing the stream may itself wait; anyio's would not let it.
            async with asyncio.timeout(self._request_timeout):
                # The protocol promises `aclose()`.
                stream = cast("AsyncGenerator[Chunk, None]", self._engine.generate(prompt, sampling))
                async with aclosing(stream) as chunks:
                    async for chunk in chunks:
                        texts.append(chunk.text)
                        tokens += chunk.tokens
                        finish_reason = chunk.finish_reason or finish_reason
                        prompt_tokens = chunk.prompt_tokens if chunk.prompt_tokens is not None else prompt_tokens
        except TimeoutError:
            self._counters.increment("engine_timeouts")
            message = f"the engine did not finish within {self._request_timeout:g} s (CLEANROOM_REQUEST_TIMEOUT)"
            raise EngineTimeoutError(message) from None
        return Generation("".join(texts), tokens, finish_reason, prompt_tokens, time.monotonic() - began)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """The one place where the guard's refusal becomes the service's: nothing leaves."""
        try:
            yield
        except RefusalError as error:
            self._counters.increment("refusals")
            message = f"{type(error).__name__}: {error}"
            raise GuardUnavailableError(message) from error

    def _cache_key(self, org: str) -> str:
        """What keeps an organization's cached prompts apart from others' at the engine, without naming it there."""
        return hmac.digest(self._cache_secret, org.encode(), "sha256").hex()[:32]

    def _note(self, generation: Generation, released: Release) -> None:
        """Log and count what became of a generation, in numbers and names."""
        self._counters.increment("generations")
        self._counters.increment(f"generations_{released.disposition}")
        log.info(
            "generation",
            decision=released.decision.id,
            disposition=released.disposition.value,
            tokens=generation.tokens,
            engine_ms=round(generation.seconds * 1000, 1),
            guard_ms=round(released.decision.guard_ms, 3),
        )

    async def _count(self, generation: Generation, text: str) -> int:
        """Model tokens of the released text.

        What was generated but kept back is not counted: its length would tell that, and how much, was kept back. The
        price is that usage understates the engine's work; the ledger and the log have the whole. A text that stopped
        is counted anew even when all of it leaves: the engine's own count has the end-of-text token, which a trimmed
        text lacks, and so would tell the two apart.
        """
        if not text:
            return 0
        if text == generation.text and generation.finish_reason == "length":
            return generation.tokens
        counted = await self._engine.count_tokens(text)
        if counted is None:
            counted = math.ceil(generation.tokens * len(text) / len(generation.text))
        return min(counted, generation.tokens)

    async def _count_prompt(self, generation: Generation, prompt: EnginePrompt) -> int:
        """Model tokens of the prompt: as the engine reported, else as it counts, else estimated from the length."""
        if generation.prompt_tokens is not None:
            return generation.prompt_tokens
        counted = await self._engine.count_tokens(prompt.text)
        return counted if counted is not None else math.ceil(len(prompt.text) / CHARACTERS_A_TOKEN)


def _varied(sampling: Sampling, number: int) -> Sampling:
    """Sampling for choice `number`: with one seed for all, all choices would be the same."""
    if sampling.seed is None:
        return sampling
    return replace(sampling, seed=(sampling.seed + number) % SEED_RANGE)


def _finish_reason(generation: Generation, released: Release) -> FinishReason:
    """Why the text ends, as far as the caller may know: an undisclosed leak looks like a model that stopped."""
    if released.filtered:
        return "content_filter"
    if released.disposition in {Disposition.TRIMMED, Disposition.WITHHELD}:
        return "stop"
    return generation.finish_reason
