"""Work that ends when its client goes away. Knows nothing of the work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from typing import Any

    from starlette.requests import Request

Result = TypeVar("Result")


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """Run `work` to its end, or cancel it when the client disconnects; then the answer is None.

    The request's body must have been read: what comes after it is the disconnection. An editor drops most of the
    completions that it asks for, and each would otherwise hold the engine to its last token.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnection(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def each_while_connected(request: Request, items: AsyncGenerator[Result, None]) -> AsyncGenerator[Result, None]:
    """The `items`, until they end or the client disconnects; either way they are closed.

    Starlette leaves it to the next write to find out that nobody reads any more, and an engine may write long before
    there is anything to send.
    """
    gone = asyncio.ensure_future(_disconnection(request))
    try:
        while True:
            step = asyncio.ensure_future(anext(items))
            try:
                await asyncio.wait({step, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not step.done():
                    step.cancel()
                    # Starlette cancels over and over; `wait` lets what closes meanwhile close.
                    await asyncio.wait({step})
            if step.cancelled():
                return
            try:
                item = step.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        gone.cancel()
        await items.aclose()


async def _disconnection(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
