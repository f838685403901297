"""Whether guard and ledger could answer, asked before an engine begins to write. Knows no request.

It spares an engine's work where nothing of it could leave; what does leave is checked and recorded anyway. So an answer
may be a moment old, and all who ask at once are told the same. Of a part that was ready lately an engine need not wait
for the next answer before it begins, only whatever leaves.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from anyio import to_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from service.outlet import Send

T = TypeVar("T")

FRESH = 0.25
"""Seconds for which a part that was ready counts as ready."""
LATELY = 60.0
"""Seconds for which it is likely to be so still, unless it was found not to be."""


class Readiness:
    """A part's word that it is ready, asked for when the last one is old. Belongs to one event loop."""

    def __init__(self, ask: Callable[[], None]) -> None:
        """`ask` raises where the part is not ready; it may wait."""
        self._ask = ask
        self._proven = -LATELY
        self._asking: asyncio.Task[None] | None = None

    @property
    def likely(self) -> bool:
        """Whether it was ready when it was last asked, lately."""
        return time.monotonic() - self._proven < LATELY

    async def require(self) -> None:
        """Raise what the part raises when it is not ready."""
        if time.monotonic() - self._proven < FRESH:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._asked())
        await asyncio.shield(self._asking)

    async def _asked(self) -> None:
        began = time.monotonic()
        try:
            await to_thread.run_sync(self._ask)
        except BaseException:
            self._proven = -LATELY
            raise
        self._proven = began


async def proven(ready: Coroutine[Any, Any, None], write: Callable[[Send], Awaitable[T]], send: Send) -> T:
    """What `write` returns, of which nothing is sent before `ready` is through.

    Raises what `ready` raises, whereupon the writing ends.
    """

    async def written() -> T:
        return await write(send_proven)

    async def send_proven(text: str, logprobs: tuple[Any, ...]) -> None:
        await asyncio.shield(proof)
        await send(text, logprobs)

    try:
        async with asyncio.TaskGroup() as group:
            proof = group.create_task(ready)
            writing = group.create_task(written())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return writing.result()
