from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from guard.errors import LedgerError, StoreEmptyError, StoreUnavailableError
from guard.licenses import LicensePolicy
from service.accounts import Caller, Quota, Scope
from service.completion import Completion, CompletionRequest, Finished, Piece
from service.engines.protocol import Sampling
from service.errors import EngineError, EngineTimeoutError, GuardUnavailableError
from service.limit_store import open_limit_store
from service.limits import Limits
from service.pipeline import Pipeline
from service.writing import STEERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import SimpleNamespace

    from guard.types import Decision
    from service.parts import Services

ACME = Caller("acme", "k1", frozenset({Scope.COMPLETE}), LicensePolicy.default())
GREEDY = Sampling()


def ask(*prompts: str, n: int = 1, caller: Caller = ACME, sampling: Sampling = GREEDY) -> CompletionRequest:
    return CompletionRequest(caller, prompts or ("def f():\n",), sampling, n=n)


def complete(services: Services, request: CompletionRequest) -> Completion:
    return asyncio.run(Pipeline(services).complete(request))


def records(services: Services) -> list[Any]:
    ledger: Any = services.ledger
    return list(ledger.entries())


def test_clean_text_passes_whole(parts: SimpleNamespace) -> None:
    parts.engine.texts = ["    return 1\n"]
    completion = complete(parts.services, ask("def f():\n", sampling=Sampling(max_tokens=7, stop=("x",))))
    (choice,) = completion.choices
    assert (choice.text, choice.finish_reason, choice.finding) == ("    return 1\n", "length", None)
    assert completion.model == "scripted-1"
    prompt, sampling = parts.engine.asked[0]
    assert (prompt.text, sampling) == ("def f():\n", Sampling(max_tokens=7, stop=("x",)))
    (query,) = parts.guard.queries
    assert (query.text, query.prefix, query.caller, query.policy) == (choice.text, "def f():\n", "acme", ACME.policy)


def test_own_code_is_no_leak(parts: SimpleNamespace) -> None:
    parts.engine.texts = ["a\nPRIVATE\n"]
    assert complete(parts.services, ask(caller=replace(ACME, org="globex"))).choices[0].text == "a\nPRIVATE\n"


@pytest.mark.parametrize(
    ("text", "disposition", "released", "finish_reason"),
    [
        ("a\nb\n", "released", 4, "length"),
        ("a\nCITED\n", "cited", 8, "length"),
        ("a\nPRIVATE\n", "trimmed", 1, "stop"),
        ("PRIVATE\n", "withheld", 0, "stop"),
        ("a\nDENIED\n", "trimmed", 1, "content_filter"),
    ],
)
def test_ledger_has_what_became_of_it(
    parts: SimpleNamespace, text: str, disposition: str, released: int, finish_reason: str
) -> None:
    parts.engine.texts = [text]
    (choice,) = complete(parts.services, ask()).choices
    (entry,) = records(parts.services)
    record = entry.record
    assert choice.finish_reason == finish_reason
    assert (record.decision.id, record.disposition) == (choice.decision_id, disposition)
    assert (record.released_characters, record.generated_characters) == (released, len(text))
    assert (record.org, record.key_id, record.model, record.surface) == ("acme", "k1", "scripted-1", "completions")
    numbers = parts.services.metrics.registry
    labels = {"action": record.decision.action.value, "disposition": disposition}
    assert numbers.get_sample_value("cleanroom_generations_total", labels) == 1
    assert parts.services.metrics.totals() == {"generations": 1, "steers": 0, "refusals": 0}


def test_nothing_leaves_when_the_ledger_cannot_be_written(services: Services) -> None:
    class FullDisk:
        def append_all(self, records: list[object]) -> list[object]:
            del records
            message = "disk full at /secret/path"
            raise LedgerError(message)

        def ready(self) -> None:
            """Never asked."""

    with pytest.raises(GuardUnavailableError) as caught:
        complete(replace(services, ledger=FullDisk()), ask())
    assert "/secret/path" in caught.value.message
    assert "secret" not in (caught.value.public or "secret")
    numbers = services.metrics.registry
    assert numbers.get_sample_value("cleanroom_refusals_total", {"error": "LedgerError"}) == 1
    assert services.metrics.totals() == {"generations": 0, "steers": 0, "refusals": 1}


@pytest.mark.parametrize("error", [StoreUnavailableError("10.0.0.7:6379 is down"), StoreEmptyError("10.0.0.7")])
def test_nothing_leaves_when_the_guard_cannot_answer(parts: SimpleNamespace, error: Exception) -> None:
    parts.guard.error = error
    with pytest.raises(GuardUnavailableError) as caught:
        complete(parts.services, ask())
    assert "10.0.0.7" not in (caught.value.public or "10.0.0.7")
    assert parts.engine.asked == []
    assert records(parts.services) == []
    parts.guard.error = None
    assert complete(parts.services, ask()).choices[0].text == "return 1\n"


def test_nothing_leaves_when_the_store_goes_down_meanwhile(parts: SimpleNamespace) -> None:
    class Falling:
        def ready(self) -> None:
            """Still there."""

        def check(self, query: object) -> Decision:
            del query
            message = "down"
            raise StoreUnavailableError(message)

        look = check

    with pytest.raises(GuardUnavailableError):
        complete(replace(parts.services, guard=Falling()), ask())
    assert len(parts.engine.asked) == 1
    assert records(parts.services) == []


def test_unforeseen_failure_of_the_guard_releases_nothing(parts: SimpleNamespace) -> None:
    parts.guard.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        complete(parts.services, ask())
    assert records(parts.services) == []


def test_a_leak_is_steered_away_from(parts: SimpleNamespace) -> None:
    parts.engine.steers, parts.engine.piece = True, 2
    parts.engine.texts = ["a\nPRIVATE\n", "PRIVATE again", "clean\n"]
    (choice,) = complete(parts.services, ask(sampling=Sampling(max_tokens=20))).choices
    assert (choice.text, choice.finish_reason) == ("a\nclean\n", "length")
    first, *again = parts.engine.asked
    assert first[0].written == ()
    # The token that began the leak is ruled out, then also the one that began it the second time.
    assert [(prompt.written, prompt.excluded) for prompt, _ in again] == [((1,), {2}), ((1,), {2})]
    assert [sampling.max_tokens for _, sampling in again] == [19, 19]
    (entry,) = records(parts.services)
    assert (entry.record.disposition, entry.record.released_characters) == ("steered", len(choice.text))
    assert entry.record.decision.matches[0].start == 2
    numbers = parts.services.metrics.registry
    assert numbers.get_sample_value("cleanroom_steers_total", {"disposition": "steered"}) == 2


@pytest.mark.parametrize("failure", ["leaks on", "fails"])
def test_what_cannot_be_steered_is_trimmed(parts: SimpleNamespace, failure: str) -> None:
    parts.engine.steers, parts.engine.piece = True, 2
    parts.engine.texts = ["a\nPRIVATE\n", *["PRIVATE\n"] * STEERS]
    if failure == "fails":
        parts.engine.fails_from = 1
    (choice,) = complete(parts.services, ask()).choices
    assert (choice.text, choice.finish_reason) == ("a", "stop")
    assert len(parts.engine.asked) == (1 + STEERS if failure == "leaks on" else 2)
    (entry,) = records(parts.services)
    assert entry.record.disposition == "trimmed"


def stream(services: Services, request: CompletionRequest) -> list[Piece | Finished]:
    async def collect() -> list[Piece | Finished]:
        return [item async for item in Pipeline(services).stream(request)]

    return asyncio.run(collect())


@pytest.mark.parametrize("piece", [1, 3, 50])
@pytest.mark.parametrize("text", ["a\nb\nPRIVATE\nc\n", "PRIVATE", "a\nDENIED", "clean\n"])
def test_a_stream_ends_as_the_whole_would(parts: SimpleNamespace, text: str, piece: int) -> None:
    parts.engine.texts, parts.engine.piece = [text], piece
    (whole,) = complete(parts.services, ask()).choices
    *pieces, finished = stream(parts.services, ask())
    assert isinstance(finished, Finished)
    left = "".join(item.text for item in pieces if isinstance(item, Piece))
    assert finished.choice.text.startswith(left)
    assert (finished.choice.text, finished.choice.finish_reason) == (whole.text, whole.finish_reason)
    first, second = records(parts.services)
    assert first.record.disposition == second.record.disposition
    assert finished.choice.decision_id == second.record.decision.id


def test_a_stream_is_steered_behind_what_has_left(parts: SimpleNamespace) -> None:
    parts.engine.steers, parts.engine.piece = True, 2
    parts.engine.texts = ["a = 1\nb = 2\nPRIVATE\n", "c = 3\n"]
    *pieces, finished = stream(parts.services, ask())
    assert isinstance(finished, Finished)
    assert "".join(item.text for item in pieces if isinstance(item, Piece)).startswith("a")
    assert finished.choice.text == "a = 1\nb = 2\nc = 3\n"


def test_a_stream_that_is_checked_whole_leaves_at_its_end(make_services: Callable[..., Services]) -> None:
    items = stream(make_services(stream_release="whole"), ask())
    assert [type(item) for item in items] == [Finished]


def test_choices_are_checked_and_recorded_one_by_one(parts: SimpleNamespace) -> None:
    parts.engine.texts = ["a\n", "PRIVATE\n", "c\nPRIVATE\n"]
    completion = complete(parts.services, ask(n=3))
    assert [choice.text for choice in completion.choices] == ["a\n", "", "c"]
    assert {entry.record.decision.id for entry in records(parts.services)} == {
        choice.decision_id for choice in completion.choices
    }
    assert len(records(parts.services)) == 3


def test_choices_that_wait_for_each_other_keep_no_place(
    make_services: Callable[..., Services], parts: SimpleNamespace
) -> None:
    # The engine has room for one: those that are written wait for the others, which would wait for their place.
    parts.engine.texts = ["0", "1", "2"]
    completion = complete(make_services(max_concurrent_generations=1), ask(n=3))
    assert [choice.text for choice in completion.choices] == ["0", "1", "2"]


def test_several_prompts_are_answered_in_order(parts: SimpleNamespace) -> None:
    parts.engine.texts = ["0", "1", "2", "3"]
    completion = complete(parts.services, ask("p", "q", n=2))
    assert [choice.text for choice in completion.choices] == ["0", "1", "2", "3"]
    assert [prompt.text for prompt, _ in parts.engine.asked] == ["p", "p", "q", "q"]
    assert completion.prompt_tokens == 2


def test_seed_differs_from_choice_to_choice(parts: SimpleNamespace) -> None:
    complete(parts.services, ask(n=3, sampling=Sampling(seed=-1, temperature=1.0)))
    assert [sampling.seed for _, sampling in parts.engine.asked] == [2**31 - 1, 0, 1]


def test_usage_counts_what_is_released(parts: SimpleNamespace) -> None:
    parts.engine.texts = ["a = 1\nb = 2\nPRIVATE\n" + "x" * 400]
    shorter = complete(parts.services, ask())
    assert (shorter.choices[0].text, shorter.completion_tokens) == ("a = 1\nb = 2", 3)
    parts.engine.counts = False
    assert complete(parts.services, ask()).completion_tokens == 3
    parts.engine.texts = ["PRIVATE"]
    assert complete(parts.services, ask()).completion_tokens == 0


@pytest.mark.parametrize("where", ["prompt", "answer"])
def test_an_engine_that_hangs_while_it_counts_is_given_up_in_time(
    make_services: Callable[..., Services], parts: SimpleNamespace, where: str
) -> None:
    engine = parts.engine
    engine.context_window, engine.finish_reason = (64, "length") if where == "prompt" else (0, "stop")

    async def count_tokens(_: str) -> int:
        return await asyncio.Future()

    engine.count_tokens = count_tokens
    with pytest.raises(EngineTimeoutError, match="within the request's time"):
        complete(make_services(request_timeout=0.1), ask(sampling=Sampling(max_tokens=8)))
    assert len(engine.asked) == (0 if where == "prompt" else 1)


def test_engine_that_hangs_is_stopped(make_services: Callable[..., Services], parts: SimpleNamespace) -> None:
    parts.engine.stuck = True
    services = make_services(request_timeout=0.05)
    with pytest.raises(EngineTimeoutError, match=r"the request's time, 0\.\d\d s .* CLEANROOM_REQUEST_TIMEOUT"):
        complete(services, ask())
    assert parts.engine.cancelled.is_set()
    assert records(services) == []


def test_engine_that_fails_midway_releases_nothing(parts: SimpleNamespace) -> None:
    parts.engine.error = EngineError("broken")
    with pytest.raises(EngineError, match="broken"):
        complete(parts.services, ask(n=2))
    assert parts.guard.queries == []
    assert records(parts.services) == []


def test_of_choices_of_which_one_fails_none_is_on_record(
    make_services: Callable[..., Services], parts: SimpleNamespace, tmp_path: Path
) -> None:
    limits = Limits(open_limit_store("memory://", tmp_path, timeout=5), Quota(0, 0), leaks_per_day=1)
    # The engine writes one after the other; the first is done, and checked, when the second fails.
    parts.engine.texts, parts.engine.fails_from = ["a\nPRIVATE\n"], 1
    services = replace(make_services(max_concurrent_generations=1), limits=limits)
    pipeline = Pipeline(services)

    async def scenario() -> None:
        with pytest.raises(EngineError, match="broken"):
            await pipeline.complete(ask(n=3))
        assert parts.guard.queries
        assert records(services) == []
        # The leak of the first was found all the same, and counts.
        assert (await limits.request(ACME)).refusal is not None

    asyncio.run(scenario())


def test_organizations_share_no_cache(parts: SimpleNamespace) -> None:
    pipeline = Pipeline(parts.services)
    for org in ("acme", "acme", "globex"):
        asyncio.run(pipeline.complete(ask(caller=replace(ACME, org=org))))
    first, second, other = (prompt.cache_key for prompt, _ in parts.engine.asked)
    assert first == second != other
    assert "acme" not in first


def test_cancelled_request_stops_the_engine(parts: SimpleNamespace) -> None:
    parts.engine.stuck = True

    async def leave() -> None:
        task = asyncio.create_task(Pipeline(parts.services).complete(ask()))
        await asyncio.to_thread(parts.engine.generating.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The engine's own closing was waited for.
        assert parts.engine.cancelled.is_set()

    asyncio.run(leave())
    assert records(parts.services) == []
