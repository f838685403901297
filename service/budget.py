"""Cuts prefix and suffix so that they share a number of tokens. Knows no engine and no format: it asks for a measure.

Counting is dear, so pieces near the expected length are counted first, then twice as long ones until one is too long,
then halves in between: a number of counts that grows with the logarithm of the lines, each of a text not much longer
than what is kept. Tokenizers merge over any border, so a longer piece may have a token less; a piece that fits beside a
next longer one that does not is found all the same.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    # Tokens that are left with that many characters kept; below zero where they do not fit.
    Spare = Callable[[int], Awaitable[int]]


class Measure(Protocol):
    """Counts a whole prompt with such a prefix and suffix, in tokens."""

    async def __call__(self, before: str, after: str) -> int:
        """Tokens of the prompt, whatever surrounds the two included."""


# What the suffix gets where both sides want more than there is: a quarter, as llama.cpp's /infill gives it.
SUFFIX_SHARE = 4
# A line is cut in two only where leaving it out would waste more than one in so many tokens of the limit.
WASTE = 16
# Characters that a token of code is expected to have: where counting begins.
CHARACTERS_A_TOKEN = 3
LINE_END = re.compile(r"\n")


async def fit(measure: Measure, prefix: str, suffix: str, limit: int) -> tuple[str, str] | None:
    """The end of `prefix` and the beginning of `suffix` that fit `limit` tokens together; None where nothing does.

    Three quarters are the prefix's, one the suffix's, and what one side leaves is the other's. With one more line of
    either, or the rest of a line that is cut in two, `measure` exceeds `limit`.
    """
    bare = await measure("", "")
    if bare > limit:
        return None
    behind = await measure("", suffix) - bare
    reserved = min(behind, (limit - bare) // SUFFIX_SHARE)
    before = await _grow(prefix, 0, limit - reserved, partial(measure, after=""), from_end=True)
    after = ""
    while True:
        more_after = await _grow(suffix, len(after), limit, partial(measure, before), from_end=False)
        more_before = await _grow(prefix, len(before), limit, partial(measure, after=more_after), from_end=True)
        if (more_before, more_after) == (before, after):
            return before, after
        before, after = more_before, more_after


async def _grow(text: str, known: int, limit: int, count: Callable[[str], Awaitable[int]], *, from_end: bool) -> str:
    """The longest end or beginning of `text` that counts at most `limit`, by lines; `known` characters of it do."""

    def piece(length: int) -> str:
        return text[len(text) - length :] if from_end else text[:length]

    async def spare(length: int) -> int:
        return limit - await count(piece(length))

    borders = [match.end() for match in LINE_END.finditer(text)]
    lengths = [len(text) - border for border in reversed(borders)] if from_end else borders
    cuts = [known, *(length for length in (*lengths, len(text)) if length > known)]
    at = await longest(cuts, spare, known or CHARACTERS_A_TOKEN * limit)
    left = await spare(cuts[at])
    if at + 1 == len(cuts) or left * WASTE <= limit:
        return piece(cuts[at])
    inside = range(cuts[at], cuts[at + 1])
    return piece(inside[await longest(inside, spare, cuts[at] + CHARACTERS_A_TOKEN * left)])


async def longest(lengths: Sequence[int], spare: Spare, guess: int) -> int:
    """The place in `lengths` (ascending) of one that fits while the next, if there is one, does not.

    The first is known to fit. `guess` is a length to begin with.
    """
    low, high = 0, len(lengths)
    probe = bisect_right(lengths, guess)
    while high - low > 1:
        probe = min(max(probe, low + 1), high - 1)
        if await spare(lengths[probe]) >= 0:
            low = probe
            probe = bisect_left(lengths, 2 * lengths[low]) if high == len(lengths) else (low + high) // 2
        else:
            high = probe
            probe = (low + high) // 2
    return low
