"""When a match is no accident: the number of matches expected by chance (Karlin & Altschul, PNAS 87, 1990).

Of a query of m tokens and an index of n tokens, m * n * 2**-bits matches worth so many bits are expected by chance. A
match counts from where that number is EXPECTED: a thousand times more code raises the threshold by ten bits, and does
not mean more false alarms. Knows neither matches nor texts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

EXPECTED = 0.1
"""Chance matches a query that are put up with; how often there really are some is what benchmarks/guard_accuracy.py
measures."""


@dataclass(frozen=True, slots=True)
class Significance:
    """The scale for one query. `query` and `index`: how many tokens either has."""

    query: int
    index: int

    @property
    def threshold(self) -> float:
        """Bits from which a match counts."""
        return self._space - math.log2(EXPECTED)

    def expected(self, bits: float) -> float:
        """Matches worth so many bits or more that are expected by chance."""
        return math.exp2(min(1000.0, self._space - bits))

    @property
    def _space(self) -> float:
        return math.log2(max(self.query, 1)) + math.log2(max(self.index, 1))
