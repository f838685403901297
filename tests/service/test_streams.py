from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from service.completion import Choice, Finished, Piece
from service.streams import merged

if TYPE_CHECKING:
    from service.outlet import Send

CHOICE = Choice("a" * 500, "stop", None, "dec_1", 1, 1)


def test_a_reader_who_stops_reading_keeps_no_writer() -> None:
    async def run() -> None:
        done = asyncio.Event()

        async def write(send: Send) -> Choice:
            for _ in range(500):
                await send("a", ())
            done.set()
            return CHOICE

        async with aclosing(merged([write])) as items:
            assert await anext(items) == Piece(0, "a")
            async with asyncio.timeout(10):
                await done.wait()
            rest = [item async for item in items]
        assert rest == [Piece(0, "a")] * 499 + [Finished(0, CHOICE)]

    asyncio.run(run())


def test_the_failure_of_one_ends_all() -> None:
    async def run() -> None:
        stopped = asyncio.Event()

        async def write(send: Send) -> Choice:
            await send("a", ())
            try:
                return await asyncio.Future()
            finally:
                stopped.set()

        async def fail(_: Send) -> Choice:
            message = "no"
            raise LookupError(message)

        with pytest.raises(LookupError, match="no"):
            async for _ in merged([write, fail]):
                pass
        assert stopped.is_set()

    asyncio.run(run())
