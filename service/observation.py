"""Where metrics and spans are taken: around the parts that the pipeline works with, and around every request.

Knows what the parts do only by their protocols, and changes nothing of it.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import Headers

from service.errors import EngineError, ServiceError
from service.tracing import request_span, span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from guard.check import GuardQuery
    from guard.ledger import LedgerEntry, LedgerRecord
    from guard.types import Decision
    from guard.watch import Caution, Hold, Watch
    from service.engines.protocol import Chunk, Engine, EnginePrompt, Sampling
    from service.metrics import Metrics
    from service.parts import Checker, Recorder, Services


def observed(services: Services) -> Services:
    """The same services, seen at work."""
    metrics = services.metrics
    return replace(
        services,
        # Whatever else an engine has is its own.
        engine=cast("Engine", ObservedEngine(services.engine, metrics)),
        guard=ObservedGuard(services.guard, metrics),
        ledger=ObservedLedger(services.ledger, metrics),
    )


class ObservedEngine:
    """An engine whose generations are counted and timed."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics.engine

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all that the engine has
        return getattr(self._engine, name)

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Stream one generation of the engine."""
        began = time.monotonic()
        first: float | None = None
        tokens = 0
        with self._metrics.generating.track_inprogress(), span("engine", current=False) as seen:
            try:
                stream = cast("AsyncGenerator[Chunk, None]", self._engine.generate(prompt, sampling))
                async with aclosing(stream) as chunks:
                    async for chunk in chunks:
                        if first is None and chunk.tokens:
                            first = time.monotonic()
                            self._metrics.began(first - began)
                        tokens += chunk.tokens
                        yield chunk
            except Exception as error:
                # Other errors of ours are about the request, such as a prompt that is too long.
                if isinstance(error, EngineError) or not isinstance(error, ServiceError):
                    self._metrics.failed(error)
                raise
            finally:
                seen.note(tokens=tokens)
                if first is not None:
                    seen.note(first_token_seconds=first - began)
                    self._metrics.wrote(tokens, time.monotonic() - first)


class ObservedGuard:
    """A guard whose checks and looks are timed."""

    def __init__(self, guard: Checker, metrics: Metrics) -> None:
        self._guard = guard
        self._metrics = metrics

    def check(self, query: GuardQuery) -> Decision:
        """Decide as the guard does."""
        began = time.monotonic()
        with span("guard check") as seen:
            try:
                decision = self._guard.check(query)
            finally:
                self._metrics.checked(time.monotonic() - began)
            seen.note(action=decision.action.value, matches=len(decision.matches), tokens=decision.checked_tokens)
        return decision

    def watch(self, query: GuardQuery, caution: Caution) -> Watch:
        """Watch as the guard does."""
        return self._guard.watch(query, caution)

    def look(self, growing: Sequence[tuple[Watch, str]]) -> list[Hold]:
        """Look as the guard does."""
        began = time.monotonic()
        try:
            return self._guard.look(growing)
        finally:
            self._metrics.looked(time.monotonic() - began)

    def ready(self) -> None:
        """Raise RefusalError unless the guard is ready."""
        self._guard.ready()

    def state(self) -> bytes:
        """The state of the guard's index."""
        return self._guard.state()


class ObservedLedger:
    """A ledger whose writing is timed."""

    def __init__(self, ledger: Recorder, metrics: Metrics) -> None:
        self._ledger = ledger
        self._metrics = metrics

    def append_all(self, records: Sequence[LedgerRecord]) -> Sequence[object]:
        """Write as the ledger does."""
        began = time.monotonic()
        try:
            return self._ledger.append_all(records)
        finally:
            self._metrics.appended(time.monotonic() - began)

    def ready(self) -> None:
        """Raise LedgerError unless the ledger is ready."""
        self._ledger.ready()

    def get(self, decision_id: str) -> LedgerEntry | None:
        """The ledger's entry of a decision."""
        return self._ledger.get(decision_id)


class Observation:
    """ASGI middleware outside of all others: every request is counted, timed and, with traces on, a span."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 0

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        with request_span("request", Headers(scope=scope).get("traceparent", "")) as seen:
            try:
                await self._app(scope, receive, send_seen)
            finally:
                route = getattr(scope.get("route"), "path", None)
                seen.note(route=route or "", status=status)
                self._metrics.answered(route, scope["method"], status, time.monotonic() - began)
