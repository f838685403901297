"""Answers that take the same time whatever was kept back: as long as all the tokens that were asked for would.

How long that is, is a function of what the caller knows, and of the pace at which the engine writes for everybody.
Knows no guard and no engine.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque

GRID = 0.1
"""Seconds: answers leave at multiples of this after they were begun."""
REMEMBERED = 256
"""Generations from which the pace is known."""
SLOWEST = 0.98
"""The share of them that were no slower than what is taken for the pace."""
TELLING = 16
"""Tokens of a generation from which its pace is that of the engine and not that of its first token."""
ROOM = 0.05
"""Seconds for checks and the ledger."""


class EvenTimes:
    """The times at which answers may leave. For one event loop."""

    def __init__(self) -> None:
        self._paces: deque[float] = deque(maxlen=REMEMBERED)
        self._pace = 0.0

    def wrote(self, seconds: float, tokens: int) -> None:
        """Take note of a generation that was written to its end."""
        if tokens >= TELLING:
            self._paces.append(seconds / tokens)
            ranked = sorted(self._paces)
            self._pace = ranked[math.ceil(SLOWEST * len(ranked)) - 1]

    async def wait(self, began: float, max_tokens: int) -> None:
        """Wait until an answer may leave that was begun at `began`, by the event loop's clock."""
        now = asyncio.get_running_loop().time()
        least = max(now - began, self._pace * max_tokens + ROOM)
        await asyncio.sleep(began + math.ceil(least / GRID) * GRID - now)
