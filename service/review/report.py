"""A summary as one page that needs nothing else: plots in SVG, the same numbers as tables. Knows no ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from service.review.summary import Pair, Row, Summary

WIDTH, HEIGHT = 900, 180
"""Of the plot over time, in units of its own."""
LABELLED = 8
"""Days that have their name below the plot, at most."""
NAMES = 15
"""Callers and owners of the heat map, those with the most leaks."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the plot over time: its place and size, the part of it that is severe, and what it says."""

    x: float
    width: float
    height: float
    severe: float
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Leaks by caller (a row) and owner (a column); None is none. `most` is the largest number."""

    owners: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int | None, ...]], ...]
    most: int


def render(summary: Summary, *, whose: str, made: datetime, heads: Sequence[str]) -> str:
    """The page. `whose` says whose view it is, `heads` are those of the ledger's chains then."""
    environment = Environment(
        loader=PackageLoader("service.review"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("report.html")
    tables = (
        ("By model version", "model", summary.models),
        ("By licence", "licence", summary.licenses),
        ("Documents", "document", summary.documents),
        ("Keys", "key", summary.keys),
        ("What became of them", "outcome", summary.outcomes),
        ("What reviewers said", "disposition", summary.dispositions),
        ("Severity", "severity", summary.severities),
    )
    return template.render(
        summary=summary,
        whose=whose,
        made=made,
        heads=heads,
        bars=_bars(summary.days),
        most=max((day.leaks for day in summary.days), default=0),
        width=WIDTH,
        height=HEIGHT,
        heat=_heat(summary.pairs),
        tables=tables,
    )


def _bars(days: tuple[Row, ...]) -> list[Bar]:
    most = max((day.leaks for day in days), default=0) or 1
    step, every = WIDTH / max(1, len(days)), -(-len(days) // LABELLED)
    return [
        Bar(
            x=round(number * step, 2),
            width=round(max(0.5, step * 0.85), 2),
            height=round(day.leaks / most * HEIGHT, 2),
            severe=round(day.severe / most * HEIGHT, 2),
            text=f"{day.name}: {day.leaks} leaks, {day.severe} of them of high severity",
            label=day.name if number % every == 0 else "",
        )
        for number, day in enumerate(days)
    ]


def _heat(pairs: tuple[Pair, ...]) -> HeatMap:
    found = {(pair.caller, pair.owner): pair.leaks for pair in pairs}
    # Pairs come with the most leaks first.
    callers = tuple(dict.fromkeys(pair.caller for pair in pairs))[:NAMES]
    owners = tuple(dict.fromkeys(pair.owner for pair in pairs))[:NAMES]
    rows = tuple((caller, tuple(found.get((caller, owner)) for owner in owners)) for caller in callers)
    return HeatMap(owners, rows, max(found.values(), default=0))
