"""Do chance matches come as often as their evidence says? Expected against observed numbers, as a table and a picture.

A match worth b bits, found among Q tokens asked about and N tokens indexed, is expected to come about by chance
E = Q * N * 2**-b times (Karlin & Altschul, Methods for assessing the statistical significance of molecular sequence
features by using general scoring schemes, 1990). If that holds, negatives have as many matches of at least b bits as
it says. Works on plain arrays; knows no guard and no corpus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    Expected = Callable[[float], float]

STEPS = 12
"""Thresholds between the least and the greatest evidence on a negative."""
WIDTH, HEIGHT, MARGIN = 640, 400, 56
"""Pixels of the picture."""
_FLOOR = 0.3
"""Where a count of nothing is drawn on an axis of logarithms."""


@dataclass(frozen=True, slots=True)
class Step:
    """What stands at or above a threshold: expected and observed chance matches, and true matches."""

    bits: float
    expected: float
    observed: int
    true: int


def chance_matches(query_tokens: float, indexed_tokens: float) -> Expected:
    """How many chance matches of at least so many bits to expect in all of `query_tokens` tokens of questions."""
    searched = math.log2(query_tokens) + math.log2(indexed_tokens)
    return lambda bits: 2.0 ** min(1023.0, searched - bits)


def steps(bits: ArrayLike, negative: ArrayLike, expected: Expected, thresholds: Sequence[float] = ()) -> list[Step]:
    """Compare at each threshold; unset, at STEPS of them that span what the negatives have.

    Args:
        bits: evidence of each match, shape (n,).
        negative: whether it is a match of something that is no copy, shape (n,).
        expected: the number of chance matches of at least so many bits among all that was asked.
        thresholds: in bits.

    Raises:
        ValueError: the arrays differ in length or are empty, or there is no negative to span thresholds by.
    """
    evidence, chance = np.asarray(bits, dtype=np.float64), np.asarray(negative, dtype=np.bool_)
    if evidence.shape != chance.shape or evidence.ndim != 1 or not len(evidence):
        message = f"want two arrays of one length, not of shapes {evidence.shape} and {chance.shape}"
        raise ValueError(message)
    at = np.asarray(thresholds, dtype=np.float64)
    if not len(at):
        if not chance.any():
            message = "no match of a negative: nothing to calibrate by; ask more of them or lower the threshold"
            raise ValueError(message)
        at = np.linspace(evidence[chance].min(), evidence[chance].max(), STEPS)
    return [
        Step(
            bits=float(threshold),
            expected=expected(float(threshold)),
            observed=int((evidence[chance] >= threshold).sum()),
            true=int((evidence[~chance] >= threshold).sum()),
        )
        for threshold in at
    ]


def excess_bits(found: Sequence[Step]) -> float:
    """Bits by which the evidence is overrated: the mean of log2(observed / expected) where something was observed.

    0 is calibrated; below it the evidence is worth more than it says. Not a number if nothing was observed.
    """
    seen = [math.log2(step.observed / step.expected) for step in found if step.observed and step.expected]
    return sum(seen) / len(seen) if seen else math.nan


def table(found: Sequence[Step]) -> Table:
    """The steps for people."""
    shown = Table(title="Chance matches by evidence", title_justify="left", title_style="bold", header_style="")
    for column in ("bits at least", "expected", "observed", "observed / expected", "true matches"):
        shown.add_column(column, justify="right")
    for step in found:
        ratio = f"{step.observed / step.expected:.3g}" if step.expected else "-"
        shown.add_row(f"{step.bits:.1f}", f"{step.expected:.3g}", str(step.observed), ratio, str(step.true))
    return shown


def svg(found: Sequence[Step]) -> str:
    """Expected (line) and observed (dots) chance matches over bits, the counts on an axis of logarithms.

    Raises:
        ValueError: fewer than two steps, which span no axis.
    """
    if len(found) < 2:  # noqa: PLR2004 - an axis has two ends
        message = f"{len(found)} steps span no axis: give at least two thresholds"
        raise ValueError(message)
    picture = _Picture(found)
    line = " ".join(f"{picture.x(step.bits):.1f},{picture.y(step.expected):.1f}" for step in found)
    dots = [
        f'<circle cx="{picture.x(step.bits):.1f}" cy="{picture.y(step.observed):.1f}" r="4" fill="#b3261e"/>'
        for step in found
    ]
    legend = '<tspan fill="#1a5fb4">line: expected</tspan>, <tspan fill="#b3261e">dots: observed</tspan>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<style>text { font: 12px sans-serif }</style>",
        "<title>Expected and observed chance matches over bits of evidence</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *picture.axes(),
        f'<polyline points="{line}" fill="none" stroke="#1a5fb4" stroke-width="2"/>',
        *dots,
        f'<text x="{WIDTH - MARGIN}" y="20" text-anchor="end">{legend}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Picture:
    """Where bits and counts stand in the picture."""

    def __init__(self, found: Sequence[Step]) -> None:
        self._left, self._right = min(step.bits for step in found), max(step.bits for step in found)
        counts = [count for step in found for count in (step.expected, float(step.observed))]
        self._low = math.floor(math.log10(max(_FLOOR, min(counts))))
        self._high = max(self._low + 1, math.ceil(math.log10(max(1.0, *counts))))

    def x(self, bits: float) -> float:
        span = self._right - self._left or 1.0
        return MARGIN + (bits - self._left) / span * (WIDTH - 2 * MARGIN)

    def y(self, count: float) -> float:
        height = (math.log10(max(_FLOOR, count)) - self._low) / (self._high - self._low)
        return HEIGHT - MARGIN - height * (HEIGHT - 2 * MARGIN)

    def axes(self) -> list[str]:
        frame = f'x="{MARGIN}" y="{MARGIN}" width="{WIDTH - 2 * MARGIN}" height="{HEIGHT - 2 * MARGIN}"'
        parts = [f'<rect {frame} fill="none" stroke="#888"/>']
        for power in range(self._low, self._high + 1):
            y = self.y(10.0**power)
            parts.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>')
        for bits in (self._left, (self._left + self._right) / 2, self._right):
            x = self.x(bits)
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{bits:.0f}</text>')
        middle = WIDTH / 2
        parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">bits of evidence, at least</text>')
        return parts
