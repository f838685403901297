"""How long to wait after a key before asking: learned from how somebody types. Knows only moments."""

from __future__ import annotations

from dataclasses import dataclass, field

PAUSE = 1.0
"""Seconds after which the next key is no more part of the same typing."""
SHARE = 0.2
"""How much the latest gap between two keys counts."""
GAPS = 1.5
"""Gaps between keys that are waited: after one and a half, the next key has most likely had its time."""


@dataclass(slots=True)
class Pace:
    """The gaps between the keys of one developer, in seconds of any clock that only rises."""

    least: float = 0.1
    most: float = 1.0
    _gap: float | None = field(default=None, init=False)
    _last: float | None = field(default=None, init=False)

    def typed(self, now: float) -> None:
        """A key was hit."""
        if self._last is not None and now - self._last < PAUSE:
            gap = now - self._last
            self._gap = gap if self._gap is None else self._gap + SHARE * (gap - self._gap)
        self._last = now

    def wait(self, now: float) -> float:
        """Seconds to wait from now on. What has passed since the last key counts, also if the editor waited."""
        if self._last is None:
            return 0.0
        return max(0.0, self._last + self.delay - now)

    @property
    def delay(self) -> float:
        """Seconds from the last key to asking."""
        return min(max(self.least, GAPS * (self._gap or 0.0)), self.most)
