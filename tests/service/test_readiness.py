"""An engine begins while guard and ledger are asked whether they are ready; what it writes waits for their word."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from guard.errors import LedgerError, StoreUnavailableError
from guard.licenses import LicensePolicy
from service.accounts import Caller, Scope
from service.completion import CompletionRequest, Finished, Piece
from service.engines.protocol import Sampling
from service.errors import GuardUnavailableError
from service.pipeline import Pipeline
from service.readiness import FRESH, LATELY, Readiness

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

ACME = Caller("acme", "k1", frozenset({Scope.COMPLETE}), LicensePolicy.default())


def ask() -> CompletionRequest:
    return CompletionRequest(ACME, ("def f():\n",), Sampling())


@dataclass
class Asked:
    """A part that answers whether it is ready when it may, or fails; what else it is asked, another does."""

    part: Any
    error: Exception | None = None
    answers: threading.Event = field(default_factory=threading.Event)

    def ready(self) -> None:
        assert self.answers.wait(20)
        if self.error is not None:
            raise self.error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the part has
        return getattr(self.part, name)


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every word is old the moment that it was given."""
    monkeypatch.setattr("service.readiness.FRESH", 0.0)


async def drained(pipeline: Pipeline) -> list[Piece | Finished]:
    return [item async for item in pipeline.stream(ask())]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("name", ["guard", "ledger"])
def test_a_stream_begins_meanwhile_and_nothing_of_it_leaves(parts: SimpleNamespace, name: str) -> None:
    part = Asked(getattr(parts.services, name))

    async def work() -> None:
        pipeline = Pipeline(replace(parts.services, **{name: part}))
        part.answers.set()
        whole = await drained(pipeline)
        part.answers.clear()
        items = pipeline.stream(ask())
        first = asyncio.ensure_future(anext(items))
        await until(lambda: len(parts.engine.asked) == 2)
        await asyncio.wait({first}, timeout=0.3)
        assert not first.done()
        part.answers.set()
        told = [await first, *[item async for item in items]]
        assert [type(item) for item in told] == [type(item) for item in whole]

    asyncio.run(work())


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ["guard", "ledger"])
def test_where_the_word_is_no_the_engine_stops_and_nothing_leaves(
    parts: SimpleNamespace, name: str, *, stream: bool
) -> None:
    part = Asked(getattr(parts.services, name))
    failure = StoreUnavailableError("down") if name == "guard" else LedgerError("full")

    async def work() -> None:
        pipeline = Pipeline(replace(parts.services, **{name: part}))
        part.answers.set()
        await drained(pipeline)
        parts.engine.stuck, part.error = True, failure
        part.answers.clear()
        left: list[Piece | Finished] = []

        async def taken() -> None:
            async for item in pipeline.stream(ask()):
                left.append(item)  # noqa: PERF401 - also what came before it fails

        asking = asyncio.ensure_future(taken() if stream else pipeline.complete(ask()))
        await until(lambda: len(parts.engine.asked) == 2)
        if name == "ledger" and not stream:
            parts.engine.go_on.set()  # of a whole answer nothing leaves before its entry is written
            part.answers.set()
            await asking
            return
        part.answers.set()
        with pytest.raises(GuardUnavailableError):
            await asking
        assert not left
        await until(parts.engine.cancelled.is_set)
        # From now on it is asked first.
        with pytest.raises(GuardUnavailableError):
            await drained(pipeline)
        assert len(parts.engine.asked) == 2

    asyncio.run(work())


def test_likely_is_what_was_ready_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = False

    def answer() -> None:
        if failing:
            message = "down"
            raise StoreUnavailableError(message)

    async def work() -> None:
        nonlocal failing
        readiness = Readiness(answer)
        assert not readiness.likely
        await readiness.require()
        assert readiness.likely
        monkeypatch.setattr("service.readiness.FRESH", 0.0)
        failing = True
        with pytest.raises(StoreUnavailableError):
            await readiness.require()
        assert not readiness.likely
        failing = False
        await readiness.require()
        monkeypatch.setattr("service.readiness.LATELY", 0.0)
        assert not readiness.likely

    assert 0 < FRESH < LATELY
    asyncio.run(work())
