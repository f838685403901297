"""What many ask for at once is done in few goes, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from guard.errors import StoreUnavailableError
from service.readiness import FRESH, Readiness
from service.together import MOST, Together


def test_those_who_come_meanwhile_are_served_together() -> None:
    goes: list[list[int]] = []
    first = threading.Event()

    def work(asked: list[int]) -> list[int]:
        goes.append(asked)
        if len(goes) == 1:
            assert first.wait(10)
        return [one * 2 for one in asked]

    async def ask() -> list[int]:
        together = Together(work)
        early = asyncio.create_task(together.ask(0))
        while not goes:  # noqa: ASYNC110 - a thread fills it
            await asyncio.sleep(0.001)
        late = [asyncio.create_task(together.ask(number)) for number in range(1, MOST + 4)]
        await asyncio.sleep(0)
        first.set()
        return [await early, *await asyncio.gather(*late)]

    assert asyncio.run(ask()) == [number * 2 for number in range(MOST + 4)]
    assert [len(some) for some in goes] == [1, MOST, 3]


def test_one_that_fails_takes_no_other_with_it() -> None:
    def work(asked: list[int]) -> list[float]:
        return [1 / one for one in asked]

    async def ask() -> list[float | BaseException]:
        together = Together(work)
        return await asyncio.gather(*map(together.ask, (1, 0, 2)), return_exceptions=True)

    one, failed, other = asyncio.run(ask())
    assert (one, other) == (1, 0.5)
    assert isinstance(failed, ZeroDivisionError)


def test_a_refusal_refuses_all_and_is_not_asked_for_again() -> None:
    goes: list[int] = []

    def work(asked: list[int]) -> list[int]:
        goes.append(len(asked))
        message = "down"
        raise StoreUnavailableError(message)

    async def ask() -> list[object]:
        together = Together(work)
        return await asyncio.gather(*map(together.ask, range(5)), return_exceptions=True)

    assert all(isinstance(answer, StoreUnavailableError) for answer in asyncio.run(ask()))
    assert goes == [5]


def test_what_refuses_all_is_for_the_work_to_say() -> None:
    goes: list[int] = []

    def work(asked: list[int]) -> list[int]:
        goes.append(len(asked))
        raise TimeoutError

    async def ask() -> list[object]:
        together = Together(work, refusals=(TimeoutError,))
        return await asyncio.gather(*map(together.ask, range(5)), return_exceptions=True)

    assert all(isinstance(answer, TimeoutError) for answer in asyncio.run(ask()))
    assert goes == [5]


def test_what_was_asked_for_is_done_for_those_who_left_too() -> None:
    done: list[int] = []

    def work(asked: list[int]) -> list[int]:
        done.extend(asked)
        return asked

    async def ask() -> None:
        together = Together(work)
        task = asyncio.create_task(together.ask(1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await together.ask(2)

    asyncio.run(ask())
    assert done == [1, 2]


def test_readiness_is_asked_for_once_by_many_and_again_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def require() -> None:
        readiness = Readiness(lambda: asked.append(1))
        await asyncio.gather(*(readiness.require() for _ in range(5)))
        await readiness.require()
        assert len(asked) == 1
        monkeypatch.setattr("service.readiness.FRESH", 0)
        await readiness.require()

    assert FRESH > 0
    asyncio.run(require())
    assert len(asked) == 2


def test_what_is_not_ready_is_asked_every_time() -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        message = "down"
        raise StoreUnavailableError(message)

    async def require() -> None:
        readiness = Readiness(ask)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                await readiness.require()

    asyncio.run(require())
    assert len(asked) == 2
