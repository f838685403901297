"""Do chance matches come as often as their evidence says? Expected against observed numbers, as a table and a picture.

A search of m tokens in an index of N expects E = m * N * 2**-b matches of b bits or more by chance, and at least one
with probability 1 - exp(-E) (Karlin & Altschul, Methods for assessing the statistical significance of molecular
sequence features by using general scoring schemes, 1990). Every search counts once, by its best match: matches of one
text are no accidents of each other. So of n searches of what is no copy n * (1 - exp(-E)) may have a match at E or
below. Works on plain numbers; knows no guard and no corpus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5)
"""Matches a search expected by chance at which numbers are compared, by default."""
WIDTH, HEIGHT, MARGIN = 640, 400, 56
"""Pixels of the picture."""
_FLOOR = 0.3
"""Where a count of nothing, or of less than this, is drawn on an axis of logarithms."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search and its best match, so good that `best` such matches are expected by chance.

    `most`: the same of the poorest match that the search would have told of. `copy`: what was asked about is one.
    """

    best: float
    most: float
    copy: bool


@dataclass(frozen=True, slots=True)
class Step:
    """At `level` matches a search expected by chance: how many searches of no copies had one as good, and of copies.

    `searches` and `copies` are those that would have told of such a match; `expected` is what chance gives the first.
    """

    level: float
    searches: int
    expected: float
    observed: int
    copies: int
    found: int


def steps(searches: Sequence[Search], levels: Sequence[float] = LEVELS) -> list[Step]:
    """Compare at each level at which some search of no copy would tell of a match.

    Raises:
        ValueError: there is no such level: nothing to calibrate by.
    """
    found = []
    for level in sorted(set(levels), reverse=True):
        able = [search for search in searches if search.most >= level]
        chance = [search.best <= level for search in able if not search.copy]
        true = [search.best <= level for search in able if search.copy]
        if chance:
            expected = len(chance) * -math.expm1(-level)
            found.append(Step(level, len(chance), expected, sum(chance), len(true), sum(true)))
    if not found:
        message = f"no search of independent code tells of a match at {min(levels, default=0):g}: ask more of them"
        raise ValueError(message)
    return found


def excess_bits(found: Sequence[Step]) -> float:
    """Bits by which the evidence is overrated: the mean of log2(observed / expected) where something was observed.

    0 is calibrated; below it the evidence is worth more than it says. Not a number if nothing was observed.
    """
    seen = [math.log2(step.observed / step.expected) for step in found if step.observed and step.expected]
    return sum(seen) / len(seen) if seen else math.nan


def table(found: Sequence[Step]) -> Table:
    """The steps for people."""
    shown = Table(title="Chance matches by evidence", title_justify="left", title_style="bold", header_style="")
    columns = ("E a search, at most", "searches", "expected", "observed", "observed / expected", "copies found")
    for column in columns:
        shown.add_column(column, justify="right")
    for step in found:
        ratio = f"{step.observed / step.expected:.3g}" if step.expected else "-"
        true = f"{step.found} of {step.copies}"
        shown.add_row(f"{step.level:g}", str(step.searches), f"{step.expected:.3g}", str(step.observed), ratio, true)
    return shown


def svg(found: Sequence[Step], counts_from: float) -> str:
    """Expected (line) and observed (dots) chance matches over E; both axes are of logarithms.

    `counts_from`: the E from which a match counts, drawn as a dashed line if the steps span it.

    Raises:
        ValueError: fewer than two steps, which span no axis.
    """
    if len(found) < 2:  # noqa: PLR2004 - an axis has two ends
        message = f"{len(found)} steps span no axis: give at least two levels"
        raise ValueError(message)
    picture = _Picture(found)
    line = " ".join(f"{picture.x(step.level):.1f},{picture.y(step.expected):.1f}" for step in found)
    dots = [
        f'<circle cx="{picture.x(step.level):.1f}" cy="{picture.y(step.observed):.1f}" r="4" fill="#b3261e"/>'
        for step in found
    ]
    legend = '<tspan fill="#1a5fb4">line: expected</tspan>, <tspan fill="#b3261e">dots: observed</tspan>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<style>text { font: 12px sans-serif }</style>",
        "<title>Searches of independent code with a match, expected and observed, over E</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *picture.axes(counts_from),
        f'<polyline points="{line}" fill="none" stroke="#1a5fb4" stroke-width="2"/>',
        *dots,
        f'<text x="{WIDTH - MARGIN}" y="20" text-anchor="end">{legend}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Picture:
    """Where levels and counts stand in the picture: strong evidence on the right."""

    def __init__(self, found: Sequence[Step]) -> None:
        self._levels = [step.level for step in found]
        self._left, self._right = -math.log10(max(self._levels)), -math.log10(min(self._levels))
        counts = [count for step in found for count in (step.expected, float(step.observed))]
        self._low = math.floor(math.log10(max(_FLOOR, min(counts))))
        self._high = max(self._low + 1, math.ceil(math.log10(max(1.0, *counts))))

    def x(self, level: float) -> float:
        span = self._right - self._left or 1.0
        return MARGIN + (-math.log10(level) - self._left) / span * (WIDTH - 2 * MARGIN)

    def y(self, count: float) -> float:
        height = (math.log10(max(_FLOOR, count)) - self._low) / (self._high - self._low)
        return HEIGHT - MARGIN - height * (HEIGHT - 2 * MARGIN)

    def axes(self, counts_from: float) -> list[str]:
        frame = f'x="{MARGIN}" y="{MARGIN}" width="{WIDTH - 2 * MARGIN}" height="{HEIGHT - 2 * MARGIN}"'
        parts = [f'<rect {frame} fill="none" stroke="#888"/>']
        for power in range(self._low, self._high + 1):
            y = self.y(10.0**power)
            parts.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>')
        for level in (self._levels[0], 1.0, counts_from, self._levels[-1]):
            if self._levels[-1] <= level <= self._levels[0]:
                text = f'<text x="{self.x(level):.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{level:g}</text>'
                parts.append(text)
        if self._levels[-1] <= counts_from <= self._levels[0]:
            x = f"{self.x(counts_from):.1f}"
            ends = f'x1="{x}" x2="{x}" y1="{MARGIN}" y2="{HEIGHT - MARGIN}"'
            parts.append(f'<line {ends} stroke="#888" stroke-dasharray="4"/>')
        words = "matches a search expected by chance, at most (dashed: from where a match counts)"
        parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{words}</text>')
        return parts
