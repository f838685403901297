"""Choices that are written at once, as one stream of what comes of any of them. Knows neither engine nor guard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from service.completion import Finished, Piece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
    from typing import Any

    from service.completion import Choice
    from service.outlet import Send

    Work: TypeAlias = Callable[[Send], Coroutine[Any, Any, Choice]]
    """Writes one choice; what of it may leave before it is finished is sent."""


async def merged(works: Sequence[Work]) -> AsyncGenerator[Piece | Finished, None]:
    """What these works send, and then each one's choice; closing the stream stops them. Raises what one of them raises.

    A work's place among them is the index of its choice.
    """
    # Without a bound of its own: whoever reads slowly would keep the engine's place, and a choice has few tokens.
    queue: asyncio.Queue[Piece | Finished | Exception] = asyncio.Queue()

    async def write(index: int, work: Work) -> None:
        try:
            choice = await work(lambda *piece: queue.put(Piece(index, *piece)))
        except Exception as error:  # noqa: BLE001 - handed on to whoever reads the stream
            await queue.put(error)
        else:
            await queue.put(Finished(index, choice))

    tasks = [asyncio.create_task(write(index, work)) for index, work in enumerate(works)]
    unfinished = len(tasks)
    try:
        while unfinished:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            unfinished -= isinstance(item, Finished)
            yield item
    finally:
        for task in tasks:
            task.cancel()
        # `wait` and not `gather`, which would hand a second cancellation on to tasks that are closing their engine.
        await asyncio.wait(tasks)
