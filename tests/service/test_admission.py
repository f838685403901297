from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.accounts import Scope
from service.admission import Admission
from service.errors import DeadlineUnmetError, OverloadedError, QueueFullError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from samples.scripted import ScriptedEngine

    from service.accounts import Accounts
    from service.parts import Services

LATER = 60.0


class Guest:
    """A generation that holds its place until it is told to end."""

    def __init__(self, admission: Admission, org: str, seconds: float, order: list[str] | None = None) -> None:
        self.org = org
        self.end = asyncio.Event()
        self.inside = False
        self._order = order
        self.task = asyncio.create_task(self._stay(admission, asyncio.get_running_loop().time() + seconds))

    async def _stay(self, admission: Admission, deadline: float) -> None:
        async with admission.place(self.org, deadline, 64):
            self.inside = True
            if self._order is not None:
                self._order.append(self.org)
            await self.end.wait()
        self.inside = False


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def arrive(
    admission: Admission, orgs: str, seconds: float = LATER, order: list[str] | None = None
) -> list[Guest]:
    """One guest a letter, in this order."""
    guests = []
    for org in orgs:
        guests.append(Guest(admission, org, seconds, order))
        await settled()
    return guests


async def leave(guests: list[Guest]) -> None:
    for guest in guests:
        guest.end.set()
    await asyncio.gather(*(guest.task for guest in guests), return_exceptions=True)


def fault(guest: Guest) -> BaseException | None:
    return guest.task.exception() if guest.task.done() and not guest.task.cancelled() else None


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_no_more_than_the_places() -> None:
    async def check() -> None:
        admission = Admission(2)
        guests = await arrive(admission, "aaab")
        assert [guest.inside for guest in guests] == [True, True, False, False]
        assert (admission.running, admission.waiting) == (2, 2)
        guests[0].end.set()
        await settled()
        assert [guest.inside for guest in guests] == [False, True, True, False]
        await leave(guests)
        assert (admission.running, admission.waiting) == (0, 0)

    run(check())


def test_organizations_take_turns() -> None:
    async def check() -> None:
        admission, order = Admission(1, 20), list[str]()
        guests = await arrive(admission, "a" + "a" * 6 + "bb" + "c", order=order)
        while admission.running:
            next(guest for guest in guests if guest.inside).end.set()
            await settled()
        assert "".join(order) == "aabcabaaaa"

    run(check())


def test_an_organization_that_fills_the_queue_is_told_so() -> None:
    async def check() -> None:
        admission = Admission(1, 2)
        guests = await arrive(admission, "aaaa")
        error = fault(guests[3])
        assert isinstance(error, QueueFullError)
        assert (error.status, error.code) == (429, "queue_full")
        assert error.retry_after is not None
        assert error.retry_after >= 1
        await leave(guests)

    run(check())


def test_it_gives_way_to_one_that_waits_less() -> None:
    async def check() -> None:
        admission = Admission(1, 4)
        guests = await arrive(admission, "aaaaa" + "b")
        # The last that came of the longest queue.
        assert isinstance(fault(guests[4]), QueueFullError)
        assert [fault(guest) for guest in guests if guest is not guests[4]] == [None] * 5
        guests[0].end.set()
        await settled()
        guests[1].end.set()
        await settled()
        assert guests[5].inside
        await leave(guests)

    run(check())


def test_when_everybody_fills_the_queue_nobody_is_to_blame() -> None:
    async def check() -> None:
        admission = Admission(1, 3)
        guests = await arrive(admission, "abcd" + "e")
        error = fault(guests[4])
        assert type(error) is OverloadedError
        assert (error.status, error.code) == (503, "overloaded")
        await leave(guests)
        shut = Admission(1, 0)
        guests = await arrive(shut, "ab")
        assert type(fault(guests[1])) is OverloadedError
        await leave(guests)

    run(check())


def test_whoever_cannot_be_served_in_time_leaves_the_queue_at_once() -> None:
    async def check() -> None:
        admission = Admission(1, 20)
        (first,) = await arrive(admission, "a")
        (hasty,) = await arrive(admission, "b", seconds=0.02)
        with pytest.raises(DeadlineUnmetError):
            await hasty.task
        assert (first.inside, admission.waiting) == (True, 0)
        await asyncio.sleep(0.2)
        await leave([first])
        # A generation takes a fifth of a second, as is known by now: nobody waits in vain for the second in turn.
        guests = await arrive(admission, "aa") + await arrive(admission, "a", seconds=0.3)
        assert isinstance(fault(guests[2]), DeadlineUnmetError)
        # Nor does it get a place that falls free too late.
        guests += await arrive(admission, "b", seconds=0.45)
        await asyncio.sleep(0.3)
        assert isinstance(fault(guests[3]), DeadlineUnmetError)
        await leave(guests)
        # With a free place it is tried, whatever is known.
        (last,) = await arrive(admission, "a", seconds=0.01)
        assert last.inside
        await leave([last])

    run(check())


def test_whoever_leaves_frees_the_place() -> None:
    async def check() -> None:
        admission = Admission(1)
        first, second, third = await arrive(admission, "aaa")
        second.task.cancel()
        await settled()
        assert admission.waiting == 1
        # The place and the cancellation come in the same moment.
        first.end.set()
        await asyncio.sleep(0)
        third.task.cancel()
        await settled()
        assert (admission.running, admission.waiting) == (0, 0)

    run(check())


@given(
    st.integers(1, 3),
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from(["come", "end", "go"]), st.integers(0, 9), st.booleans()), max_size=40),
)
@settings(deadline=None)
def test_no_place_is_lost_and_none_is_given_twice(places: int, room: int, steps: list[tuple[str, int, bool]]) -> None:
    async def check() -> None:
        admission, guests = Admission(places, room), list[Guest]()
        for step, number, pause in steps:
            if step == "come":
                guests.append(Guest(admission, "abc"[number % 3], LATER))
            elif guests and step == "end":
                guests[number % len(guests)].end.set()
            elif guests:
                guests[number % len(guests)].task.cancel()
            if pause:
                await settled()
            assert admission.running <= places
            assert admission.waiting <= room
        await settled()
        assert sum(guest.inside for guest in guests if not guest.task.done()) == admission.running
        # Nobody waits beside a free place.
        assert admission.running == places or admission.waiting == 0
        for guest in guests:
            error = fault(guest)
            assert error is None or isinstance(error, ServiceError)
        await leave(guests)
        assert (admission.running, admission.waiting) == (0, 0)

    run(check())


def test_a_full_queue_over_http(
    make_services: Callable[..., Services],
    running: Callable[..., Any],
    accounts: Accounts,
    engine: ScriptedEngine,
    secret: str,
) -> None:
    engine.stuck = True
    services = make_services(max_concurrent_generations=1, max_waiting_generations=1, request_timeout=30)
    other = accounts.create_key("globex", frozenset({Scope.COMPLETE}))[1]

    async def post(client: httpx.AsyncClient, key: str, **headers: str) -> httpx.Response:
        headers["Authorization"] = f"Bearer {key}"
        return await client.post("/v1/completions", json={"prompt": "x"}, headers=headers)

    async def check(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            writing = asyncio.create_task(post(client, secret, **{"X-Request-Timeout": "2"}))
            await asyncio.to_thread(engine.generating.wait, 10)
            soon = await post(client, secret, **{"X-Request-Timeout": "0.1"})
            assert (soon.status_code, soon.json()["error"]["code"]) == (503, "deadline_unmet")
            waiting = asyncio.create_task(post(client, secret))
            await asyncio.sleep(0.5)
            for key, status, code in ((secret, 429, "queue_full"), (other, 503, "overloaded")):
                reply = await post(client, key)
                assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
                assert int(reply.headers["Retry-After"]) >= 1
            engine.generating.clear()
            late = await writing
            assert (late.status_code, late.json()["error"]["code"]) == (504, "engine_timeout")
            # Its place went to the one that waited, and who leaves gives it back.
            assert await asyncio.to_thread(engine.generating.wait, 10)
            engine.stuck = False
            waiting.cancel()
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            assert (await post(client, other)).status_code == 200

    with running(services) as url:
        asyncio.run(check(url))


def test_eight_choices_of_an_engine_with_one_place(
    make_services: Callable[..., Services], running: Callable[..., Any], engine: ScriptedEngine, secret: str
) -> None:
    engine.capacity = 1
    with running(make_services()) as url:
        reply = httpx.post(
            f"{url}/v1/completions",
            json={"prompt": "x", "n": 8},
            headers={"Authorization": f"Bearer {secret}"},
            timeout=30,
        )
    assert reply.status_code == 200
    assert len(reply.json()["choices"]) == 8


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "1,5"])
def test_a_deadline_that_is_none(world: Any, value: str) -> None:  # noqa: ANN401 - a namespace
    reply = world.client.post("/v1/completions", json={"prompt": "x"}, headers={"X-Request-Timeout": value})
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["param"] == "X-Request-Timeout"
    assert repr(value) in error["message"]
