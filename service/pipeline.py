"""The one way from a request to text that may leave. Read `Pipeline.answer` to see the whole product.

Knows neither HTTP nor which engine, store or database it works with.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from guard.check import GuardQuery
from guard.errors import RefusalError
from guard.watch import EARLY, LATE
from service.admission import admission_for
from service.completion import Choice, Completion
from service.deadlines import in_time
from service.entries import Entries
from service.errors import EngineTimeoutError, GuardUnavailableError
from service.even_times import EvenTimes
from service.exemptions import exempt_for
from service.lookout import Lookout
from service.outlet import Outlet
from service.prompt import build_prompt
from service.readiness import Readiness, proven
from service.release import Disposition, Release
from service.streams import merged
from service.usage import count_prompt, count_text
from service.writing import Writing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from guard.exemptions import Exempt
    from service.completion import CompletionRequest, Finished, FinishReason, Piece
    from service.draft import Draft
    from service.engines.protocol import EnginePrompt, Sampling
    from service.outlet import Send
    from service.parts import Services
    from service.streams import Work

# Engines read a seed as 32 bits, some of them signed.
SEED_RANGE = 2**31
CAUTIONS = {"early": EARLY, "late": LATE, "whole": None}

log = structlog.get_logger(__name__)


class Pipeline:
    """Binds engine, guard and ledger. Safe for many requests at once in one event loop."""

    def __init__(self, services: Services) -> None:
        self._engine = services.engine
        self._guard = services.guard
        # A store that is down refuses at once, and not after the engine has written.
        self._guard_ready = Readiness(services.guard.ready)
        self._ledger_ready = Readiness(services.ledger.ready)
        self._entries = Entries(services)
        self._metrics = services.metrics
        self._limits = services.limits
        self._release = services.release
        self._reviews = services.reviews
        self._request_timeout = services.settings.request_timeout
        self._admission = admission_for(services.settings, services.engine.capacity)
        services.metrics.follow(self._admission)
        self._lookout = Lookout(services.guard)
        self._caution = CAUTIONS[services.settings.stream_release]
        self._even_times = EvenTimes() if services.settings.even_times else None
        self._cache_secret = secrets.token_bytes(32)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer every choice of a request; when one fails, none leaves and the others are stopped.

        Raises InvalidRequestError, EngineError, GuardUnavailableError, LimitsUnavailableError, and where the engine has
        too much to do QueueFullError or OverloadedError.
        """
        await self._require_likely(self._guard_ready)
        exempt = await exempt_for(self._reviews, request.caller.org)
        try:
            async with asyncio.TaskGroup() as group:
                numbers = range(len(request.decision_ids))
                others = asyncio.Barrier(len(numbers) + 1)
                tasks = [group.create_task(self.answer(request, number, exempt, others=others)) for number in numbers]
                await self._require_ready(self._guard_ready)
                await others.wait()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return self.completion(request, tuple(task.result() for task in tasks))

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Piece | Finished, None]:
        """The choices of a request as they are written and found clean; closing the stream stops them.

        Raises what `complete` raises, in the middle of the stream as well.
        """
        # Of a stream text leaves before its entry is written.
        parts = self._guard_ready, self._ledger_ready
        await self._require_likely(*parts)
        exempt = await exempt_for(self._reviews, request.caller.org)

        def writing(index: int) -> Work:
            return lambda send: proven(
                self._require_ready(*parts), lambda proven_send: self.answer(request, index, exempt, proven_send), send
            )

        async with aclosing(merged([writing(index) for index in range(len(request.decision_ids))])) as items:
            async for item in items:
                yield item

    def completion(self, request: CompletionRequest, choices: tuple[Choice, ...]) -> Completion:
        """The whole answer of these choices."""
        return Completion(
            request.sampling.model or self._engine.model,
            choices,
            prompt_tokens=sum(choice.prompt_tokens for choice in choices[:: request.n]),
            completion_tokens=sum(choice.tokens for choice in choices),
        )

    async def answer(
        self,
        request: CompletionRequest,
        index: int,
        exempt: Exempt,
        send: Send | None = None,
        others: asyncio.Barrier | None = None,
    ) -> Choice:
        """One continuation: prompt -> engine -> guard -> release, or another try -> ledger -> choice.

        `exempt`: documents whose copies may pass.
        With `send`, what the guard lets out early is sent before it is finished. `others`: the choices that leave
        together with this one, or not at all; each waits there once it is written.
        """
        caller, text = request.caller, request.prompts[index // request.n]
        sampling = _varied(request.sampling, index % request.n)
        deadline = request.deadline or asyncio.get_running_loop().time() + self._request_timeout
        with self._refusing():
            prompt = await self._prompt(request, text, sampling.max_tokens, deadline)
        query = GuardQuery("", caller.org, text, policy=caller.policy, suffix=request.suffix or "", exempt=exempt)
        outlet = (
            None
            if send is None or self._caution is None
            else Outlet(self._guard, self._lookout, query, self._caution, send, self._metrics.held)
        )
        writing = Writing(self._engine, self._guard, query, outlet, deadline)
        began = time.monotonic()
        with self._refusing():
            async with self._admission.place(caller.org, deadline, sampling.max_tokens) as place:
                started = asyncio.get_running_loop().time()
                try:
                    first, released = await writing.run(prompt, sampling)
                except BaseException:
                    if outlet is not None and writing.draft.text:
                        # What has left is on record whatever happens, even to a caller who goes away.
                        await asyncio.shield(self._interrupted(request, index, writing, prompt))
                    raise
                place.free()
                await self._entries.enter(request, index, writing, replace(released, decision=first.decision), others)
                async with in_time(deadline):
                    choice = await self._choice(request, index, writing.draft, prompt, released)
        if outlet is not None:
            outlet.finished(released.text)
        self._note(request.decision_ids[index], writing, released, time.monotonic() - began)
        if self._even_times is not None:
            self._even_times.wrote(writing.seconds, writing.draft.tokens)
            await self._even_times.wait(started, sampling.max_tokens)
        return choice

    async def _prompt(self, request: CompletionRequest, text: str, max_tokens: int, deadline: float) -> EnginePrompt:
        """What the engine continues; to count its tokens an engine may take a while."""
        async with in_time(deadline):
            return await build_prompt(
                self._engine,
                text,
                request.suffix,
                max_tokens,
                around=request.around,
                truncate=request.truncate,
                cache_key=self._cache_key(request.caller.org),
            )

    async def _choice(
        self, request: CompletionRequest, index: int, draft: Draft, prompt: EnginePrompt, released: Release
    ) -> Choice:
        """What is shown of what leaves, once it has been counted: what cannot be counted is not given."""
        finish_reason = _finish_reason(draft, released)
        choice = Choice(
            text=released.text,
            finish_reason=finish_reason,
            finding=released.finding,
            decision_id=request.decision_ids[index],
            tokens=await count_text(self._engine, draft, released.text),
            prompt_tokens=await count_prompt(self._engine, draft, prompt),
            logprobs=draft.told(len(released.text) + (finish_reason != "stop")),
        )
        if self._limits is not None:
            shared = 0 if index % request.n else choice.prompt_tokens  # the choices of a prompt have it together
            await self._limits.spend(request.caller, shared + choice.tokens)
        return choice

    async def _interrupted(
        self, request: CompletionRequest, index: int, writing: Writing, prompt: EnginePrompt
    ) -> None:
        """Enter and count what had left of a stream that broke off; a leak counts even if nothing had."""
        released = await writing.interrupted()
        await self._entries.count_leak(request.caller, released.decision)
        if released.text:
            await self._entries.record(request, index, writing, released)
            await self._choice(request, index, writing.draft, prompt, released)

    async def _require_likely(self, *parts: Readiness) -> None:
        """Before the engine writes: the model still stands, and what must answer was ready lately, or is now.

        That spares the engine's work; whether it is ready now is asked while the engine reads the prompt.
        """
        if self._release is not None:
            # A model that was withdrawn writes nothing more from that moment on; to look takes microseconds.
            self._release.require_standing()
        await self._require_ready(*(part for part in parts if not part.likely))

    async def _require_ready(self, *parts: Readiness) -> None:
        """Raise GuardUnavailableError unless all of these are ready now."""
        with self._refusing():
            for part in parts:
                await part.require()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """The one place where the guard's refusal becomes the service's: nothing leaves."""
        try:
            yield
        except EngineTimeoutError as error:
            self._metrics.engine.failed(error)
            raise
        except RefusalError as error:
            self._metrics.refused(error)
            message = f"{type(error).__name__}: {error}"
            raise GuardUnavailableError(message) from error

    def _cache_key(self, org: str) -> str:
        """What keeps an organization's cached prompts apart from others' at the engine, without naming it there."""
        return hmac.digest(self._cache_secret, org.encode(), "sha256").hex()[:32]

    def _note(self, decision_id: str, writing: Writing, released: Release, seconds: float) -> None:
        """Log what became of a generation, in numbers and names."""
        log.info(
            "generation",
            decision=decision_id,
            disposition=released.disposition.value,
            tokens=writing.draft.tokens,
            steers=writing.steers,
            ms=round(seconds * 1000, 1),
            guard_ms=round(released.decision.guard_ms, 3),
        )


def _varied(sampling: Sampling, number: int) -> Sampling:
    """Sampling for choice `number`: with one seed for all, all choices would be the same."""
    if sampling.seed is None:
        return sampling
    return replace(sampling, seed=(sampling.seed + number) % SEED_RANGE)


def _finish_reason(draft: Draft, released: Release) -> FinishReason:
    """Why the text ends, as far as the caller may know: an undisclosed leak looks like a model that stopped."""
    if released.filtered:
        return "content_filter"
    if released.disposition in {Disposition.TRIMMED, Disposition.WITHHELD}:
        return "stop"
    return draft.finish_reason or "stop"
