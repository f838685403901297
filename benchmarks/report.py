"""What a benchmark says: a table for people, bars that hold or not, and one JSON line for programs.

Knows no benchmark. The line is `{"benchmark": name, "figures": {name: number}, "bars": [{"name", "value", "limit",
"holds"}]}`, the last line of standard output.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 118


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that shall be at least, or else at most, its limit."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether it is."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def to_json(self) -> dict[str, str | float | bool]:
        """The bar as the JSON line has it."""
        return {"name": self.name, "value": _rounded(self.value), "limit": self.limit, "holds": self.holds}


@dataclass(slots=True)
class Report:
    """One benchmark's answer."""

    benchmark: str
    figures: dict[str, float] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def at_least(self, name: str, limit: float) -> None:
        """Hold the figure `name` to a lower bound."""
        self.bars.append(Bar(name, self.figures[name], limit, at_least=True))

    def at_most(self, name: str, limit: float) -> None:
        """Hold the figure `name` to an upper bound."""
        self.bars.append(Bar(name, self.figures[name], limit, at_least=False))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table; its first column is text, the others are numbers."""
        table = Table(title=title, title_justify="left", title_style="bold", header_style="")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self.tables.append(table)

    def line(self) -> str:
        """The JSON line. Raises ValueError for a figure that is no finite number: nothing was measured."""
        bad = sorted(name for name, value in self.figures.items() if not math.isfinite(value))
        if bad:
            message = f"{self.benchmark}: {', '.join(bad)} is not a number: nothing was measured; use a larger SCALE"
            raise ValueError(message)
        figures = {name: _rounded(value) for name, value in self.figures.items()}
        bars = [bar.to_json() for bar in self.bars]
        return json.dumps({"benchmark": self.benchmark, "figures": figures, "bars": bars}, allow_nan=False)

    def show(self, *, json_only: bool) -> None:
        """Print everything, or the JSON line alone."""
        line = self.line()
        if not json_only:
            console = Console(file=sys.stdout, width=WIDTH, highlight=False)
            for table in [*self.tables, *([self._verdict()] if self.bars else [])]:
                console.print(table)
                console.print()
            for note in self.notes:
                console.print(f"- {note}", markup=False)
        print(line, flush=True)

    def _verdict(self) -> Table:
        table = Table(title="Bars", title_justify="left", title_style="bold", header_style="")
        for column in ("bar", "value", "limit", "holds"):
            table.add_column(column, justify="left" if column == "bar" else "right")
        for bar in self.bars:
            limit = f"{'>=' if bar.at_least else '<='} {bar.limit:g}"
            table.add_row(bar.name, f"{_rounded(bar.value):g}", limit, "yes" if bar.holds else "NO")
        return table


def progress() -> Progress:
    """A progress bar on standard error, silent where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def broken_bars(lines: Iterable[str]) -> list[str]:
    """What the JSON line at the end of a benchmark's output says of its bars that do not hold.

    Raises ValueError if the last line is not such a line: the benchmark did not come to its end.
    """
    last = ""
    for line in lines:
        last = line.strip() or last
    try:
        answer = json.loads(last)
        broken = [bar for bar in answer["bars"] if not bar["holds"]]
        name = answer["benchmark"]
        return [f"{name}: {bar['name']} is {bar['value']:g}, the limit is {bar['limit']:g}" for bar in broken]
    except (ValueError, TypeError, KeyError) as error:
        message = "the output does not end with a benchmark's JSON line: run the benchmark again and see why it stopped"
        raise ValueError(message) from error


def _rounded(value: float) -> float:
    """Five significant digits: more would be noise."""
    return float(f"{value:.5g}")
