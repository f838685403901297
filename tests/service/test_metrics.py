from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import StoreUnavailableError
from guard.licenses import LicensePolicy
from guard.types import Action
from service.accounts import Caller, Scope
from service.completion import CompletionRequest
from service.engines.protocol import Sampling
from service.errors import EngineError, GuardUnavailableError
from service.metrics import Held, Metrics
from service.observation import observed
from service.pipeline import Pipeline
from service.release import Disposition

if TYPE_CHECKING:
    from types import SimpleNamespace

    from prometheus_client import CollectorRegistry

    from service.parts import Services

ACME = Caller("acme", "k1", frozenset({Scope.COMPLETE}), LicensePolicy.default())


def complete(services: Services) -> None:
    asyncio.run(Pipeline(observed(services)).complete(CompletionRequest(ACME, ("x",), Sampling())))


def stream(services: Services) -> None:
    async def read() -> None:
        async for _ in Pipeline(observed(services)).stream(CompletionRequest(ACME, ("x",), Sampling())):
            pass

    asyncio.run(read())


def value(services: Services, name: str, **labels: str) -> float | None:
    return services.metrics.registry.get_sample_value(name, labels)


def test_applications_count_for_themselves() -> None:
    first, second = Metrics(), Metrics()
    first.recorded(Action.ALLOW, Disposition.RELEASED, 0)
    assert (first.totals()["generations"], second.totals()["generations"]) == (1, 0)


def test_what_a_client_makes_up_is_no_label() -> None:
    metrics = Metrics()
    metrics.answered(None, "BREW", 404, 0.1)
    metrics.answered("/v1/completions", "POST", 0, 0.1)
    get = metrics.registry.get_sample_value
    assert get("cleanroom_requests_total", {"route": "other", "method": "other", "status": "404"}) == 1
    assert get("cleanroom_requests_total", {"route": "/v1/completions", "method": "POST", "status": "499"}) == 1


def test_a_completion_is_measured_stage_by_stage(parts: SimpleNamespace) -> None:
    parts.engine.texts = ["a = 1\nb = 2\nc = 3\n"]
    complete(parts.services)
    services = parts.services
    assert value(services, "cleanroom_guard_seconds_count", work="check") == 1
    assert value(services, "cleanroom_guard_seconds_count", work="look") == 0
    assert value(services, "cleanroom_ledger_append_seconds_count") == 1
    assert value(services, "cleanroom_engine_tokens_total") == 5
    assert value(services, "cleanroom_engine_first_token_seconds_count") == 1
    assert value(services, "cleanroom_engine_tokens_per_second_count") == 1
    assert value(services, "cleanroom_engine_generating") == 0
    assert value(services, "cleanroom_held_seconds_count") == 0


def test_what_a_stream_holds_is_measured(parts: SimpleNamespace) -> None:
    parts.engine.texts = ["a = 1\nb = 2\nc = 3\n"]
    stream(parts.services)
    assert (value(parts.services, "cleanroom_guard_seconds_count", work="look") or 0) >= 1
    # Five pieces were written, and all have left.
    assert value(parts.services, "cleanroom_held_seconds_count") == 5


def test_failures_of_engine_and_guard_are_told_apart(parts: SimpleNamespace) -> None:
    parts.engine.error = EngineError("broken")
    with pytest.raises(EngineError):
        complete(parts.services)
    parts.engine.error = None
    parts.guard.error = StoreUnavailableError("down")
    with pytest.raises(GuardUnavailableError):
        complete(parts.services)
    assert value(parts.services, "cleanroom_engine_errors_total", error="EngineError") == 1
    assert value(parts.services, "cleanroom_refusals_total", error="StoreUnavailableError") == 1
    assert parts.services.metrics.totals() == {"generations": 0, "steers": 0, "refusals": 1}


def test_a_queue_is_followed() -> None:
    class Line:
        waiting = 3

    metrics, line = Metrics(), Line()
    metrics.follow(line)
    assert metrics.registry.get_sample_value("cleanroom_queue_waiting") == 3
    line.waiting = 0
    assert metrics.registry.get_sample_value("cleanroom_queue_waiting") == 0


def held() -> tuple[Held, CollectorRegistry]:
    metrics = Metrics()
    return Held(metrics.held), metrics.registry


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 40)), max_size=20))
def test_every_piece_is_measured_once_when_the_last_of_it_leaves(steps: list[tuple[int, int]]) -> None:
    stream, registry = held()
    written, sent, ends = 0, 0, []
    for size, more in steps:
        written += size
        ends.append(written)
        stream.wrote(written)
        sent = min(written, sent + more)
        stream.sent(sent)
    assert registry.get_sample_value("cleanroom_held_seconds_count") == sum(end <= sent for end in ends)


def test_what_never_leaves_is_not_held() -> None:
    stream, registry = held()
    stream.wrote(4)
    stream.wrote(8)
    stream.sent(4)
    stream.finished(4)
    assert registry.get_sample_value("cleanroom_held_seconds_count") == 1
    assert registry.get_sample_value("cleanroom_held_characters_sum") == 4


def test_what_is_taken_back_is_not_measured() -> None:
    stream, registry = held()
    for end in (4, 8, 12):
        stream.wrote(end)
    stream.sent(4)
    stream.wrote(6)  # taken up again at 4, with another piece of two characters
    stream.sent(6)
    assert registry.get_sample_value("cleanroom_held_seconds_count") == 2
