"""Owns which of llama.cpp's slots serves which generation. Knows no server and no text, only token numbers.

A slot keeps the attention state of what it saw last. The next keystroke should find the slot with its own beginning,
and no caller may profit from what another one left there, since a fast first token would tell that the other asked
the same.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


@dataclass(slots=True)
class Slot:
    """A place for one generation at a time; `tokens` and `cache_key` are those of its last prompt."""

    number: int
    tokens: Sequence[int] = ()
    cache_key: str | None = None
    last_used: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use slot `number`; `reuse` tells whether the state that it holds may be built on."""

    number: int
    reuse: bool


class SlotPool:
    """A fixed number of slots, handed out to waiting generations in the order of their asking."""

    def __init__(self, count: int) -> None:
        self._free = [Slot(number) for number in range(count)]
        self._places = asyncio.Semaphore(count)
        self._uses = 0

    @asynccontextmanager
    async def lease(self, tokens: Sequence[int], cache_key: str) -> AsyncIterator[Lease]:
        """Wait for a slot, the best of the free ones for a prompt of `tokens`, and give it back at the end."""
        async with self._places:
            slot = self._best(tokens, cache_key)
            self._free.remove(slot)
            self._uses += 1
            reuse = slot.cache_key == cache_key
            slot.tokens, slot.cache_key, slot.last_used = tokens, cache_key, self._uses
            try:
                yield Lease(slot.number, reuse)
            finally:
                self._free.append(slot)

    def _best(self, tokens: Sequence[int], cache_key: str) -> Slot:
        """The free slot with the longest common beginning; among slots without one, the longest unused.

        A beginning counts where it is at least half of what the slot holds: two files that open with the same imports
        should not drive each other out.
        """

        def worth(slot: Slot) -> tuple[int, int]:
            shared = common_prefix(slot.tokens, tokens) if slot.cache_key == cache_key else 0
            return shared if 2 * shared >= len(slot.tokens) else 0, -slot.last_used

        return max(self._free, key=worth)


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the longest common beginning of two token sequences."""
    for length, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return length
    return min(len(first), len(second))
