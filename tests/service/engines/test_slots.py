from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from service.engines.slots import SlotPool, common_prefix

TOKENS = st.lists(st.integers(0, 3), max_size=8)


@given(TOKENS, TOKENS)
def test_the_common_prefix_is_common_and_cannot_be_longer(first: list[int], second: list[int]) -> None:
    length = common_prefix(first, second)
    assert first[:length] == second[:length]
    assert first[: length + 1] != second[: length + 1] or length == min(len(first), len(second))


async def _leased(pool: SlotPool, tokens: list[int], cache_key: str = "acme") -> tuple[int, bool]:
    async with pool.lease(tokens, cache_key) as lease:
        return lease.number, lease.reuse


def test_the_next_keystroke_finds_its_slot() -> None:
    async def ask() -> None:
        pool = SlotPool(3)
        first, _ = await _leased(pool, [1, 2, 3, 4])
        other, _ = await _leased(pool, [7, 8, 9])
        assert other != first
        assert await _leased(pool, [1, 2, 3, 4, 5]) == (first, True)

    asyncio.run(ask())


def test_another_cache_key_builds_on_nothing() -> None:
    async def ask() -> None:
        pool = SlotPool(1)
        await _leased(pool, [1, 2, 3], "acme")
        assert await _leased(pool, [1, 2, 3], "globex") == (0, False)
        assert await _leased(pool, [1, 2, 3], "globex") == (0, True)
        assert await _leased(pool, [1, 2, 3], "acme") == (0, False)

    asyncio.run(ask())


def test_a_short_common_beginning_does_not_drive_a_long_prompt_out() -> None:
    async def ask() -> None:
        pool = SlotPool(2)
        first, _ = await _leased(pool, [1, 2, *range(10, 30)])
        assert (await _leased(pool, [1, 2, *range(50, 70)]))[0] != first

    asyncio.run(ask())


def test_more_generations_than_slots_wait_their_turn() -> None:
    async def ask() -> list[int]:
        pool = SlotPool(2)
        working = most = 0
        order: list[int] = []

        async def one(number: int) -> None:
            nonlocal working, most
            async with pool.lease([number], "acme"):
                order.append(number)
                working += 1
                most = max(most, working)
                await asyncio.sleep(0)
                working -= 1

        await asyncio.gather(*map(one, range(6)))
        assert most == 2
        return order

    assert asyncio.run(ask()) == list(range(6))


def test_who_stops_waiting_leaves_the_slot_to_others() -> None:
    async def ask() -> None:
        pool = SlotPool(1)
        async with pool.lease([1], "acme"):
            waiting = asyncio.create_task(_leased(pool, [2]))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert (await _leased(pool, [3]))[0] == 0

    asyncio.run(ask())
