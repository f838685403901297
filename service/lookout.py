"""Has the growing texts of all streams looked at together. Knows no engine, no ledger and no HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.together import Together

if TYPE_CHECKING:
    from guard.watch import Hold, Watch
    from service.parts import Checker

PACE = 0.01
"""Seconds between two looks at one text at least: faster than eyes, and few enough to leave time for others."""
SHARE = 4
"""Times as long as the last look took, that a text waits for its next one at least: looks slow down before streams."""


class Lookout:
    """Looks at growing texts for everybody who asks. Belongs to one event loop."""

    def __init__(self, guard: Checker) -> None:
        self._looks: Together[tuple[Watch, str], Hold] = Together(guard.look)

    @property
    def pace(self) -> float:
        """Seconds that a text should wait for its next look."""
        return max(PACE, SHARE * self._looks.seconds)

    async def look(self, watch: Watch, text: str) -> Hold:
        """What `watch` says of `text`. Raises what its look raises."""
        return await self._looks.ask((watch, text))
