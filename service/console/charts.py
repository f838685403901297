"""The geometry of charts, as numbers that templates write into SVG. Knows no leak and no colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1120, 200, 34, 22, 8
GAP = 0.25
"""The part of a column's place that stays empty."""
LABELS = 7
"""Dates written under a chart, about."""
SHADES = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a column: of which series, and where."""

    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its pieces, and what is told of it."""

    label: str
    total: int
    middle: float
    written: bool
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """A chart of stacked columns. `ticks`: values of the lines across, with their heights."""

    width: int
    height: int
    left: int
    base: int
    ticks: tuple[tuple[int, float], ...]
    columns: tuple[Column, ...]


def stacked(series: Sequence[tuple[str, Mapping[str, int]]]) -> Columns:
    """Columns of (label, counts by series), the first series at the bottom."""
    most = _round_up(max((sum(counts.values()) for _, counts in series), default=0))
    base = HEIGHT - BOTTOM
    room = base - TOP
    place = (WIDTH - LEFT) / max(1, len(series))
    columns = []
    for at, (label, counts) in enumerate(series):
        bars, height = [], 0.0
        x, width = LEFT + at * place + place * GAP / 2, place * (1 - GAP)
        for name, count in counts.items():
            piece = room * count / most
            height += piece
            if count:
                bars.append(Bar(name, round(x, 1), round(base - height, 1), round(width, 1), round(piece, 1)))
        written = (len(series) - 1 - at) % max(1, -(-len(series) // LABELS)) == 0
        columns.append(Column(label, sum(counts.values()), round(x + width / 2, 1), written, tuple(bars)))
    ticks = tuple((value, round(base - room * value / most, 1)) for value in sorted({0, most // 2, most}))
    return Columns(WIDTH, HEIGHT, LEFT, base, ticks, tuple(columns))


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A table of counts: rows of (name, cells), a cell being (column, count, shade), shade 0 (none) to SHADES."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, int, int], ...]], ...]


def heat_map(counts: Mapping[tuple[str, str], int]) -> HeatMap:
    """The map of counts by (row, column)."""
    rows = sorted({row for row, _ in counts})
    columns = sorted({column for _, column in counts})
    most = max(counts.values(), default=1)
    return HeatMap(
        tuple(columns),
        tuple(
            (
                row,
                tuple((name, counts.get((row, name), 0), _shade(counts.get((row, name), 0), most)) for name in columns),
            )
            for row in rows
        ),
    )


@dataclass(frozen=True, slots=True)
class Strip:
    """A generation as a strip of 1,000 units: spans of (start, length, kind, number of the match)."""

    released: float
    spans: tuple[tuple[float, float, str, int], ...]


def strip(characters: int, released: int, spans: Sequence[tuple[int, int, str]]) -> Strip:
    """The strip of a generation of so many characters, its released beginning, and spans of (start, end, kind)."""
    whole = max(1, characters, *(end for _, end, _ in spans))
    scale = 1000 / whole
    return Strip(
        round(released * scale, 1),
        tuple(
            (round(start * scale, 1), max(4.0, round((end - start) * scale, 1)), kind, number)
            for number, (start, end, kind) in enumerate(spans, 1)
        ),
    )


def _shade(count: int, most: int) -> int:
    return 0 if count == 0 else max(1, -(-SHADES * count // most))


def _round_up(value: int) -> int:
    """The next even number that people count in."""
    step = 2
    while True:
        for factor in (1, 2, 5):
            if value <= step * factor:
                return step * factor
        step *= 10
