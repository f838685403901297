"""Pictures of measured models as SVG that needs nothing else. Knows their numbers, and neither models nor pages."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#555555", "#bbbbbb")
"""Paul Tol's bright scheme, which those who see fewer colours can tell apart."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True, slots=True)
class Point:
    """A model in a picture: its label, its group (colour and marker), and a measure on either axis."""

    label: str
    group: str
    x: Mapping[str, Any]
    y: Mapping[str, Any]


def scatter(points: Sequence[Point], x: str, y: str, title: str) -> str:
    """One measure against another, with limits as lines."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    groups = list(dict.fromkeys(point.group for point in points))
    for point in points:
        at = groups.index(point.group)
        axes.errorbar(
            [point.x["value"]], [point.y["value"]], xerr=_reach(point.x), yerr=_reach(point.y),
            fmt=MARKERS[at % len(MARKERS)], color=COLOURS[at % len(COLOURS)], elinewidth=0.8, capsize=2,
            label=point.group,
        )  # fmt: skip
        axes.annotate(point.label, (point.x["value"], point.y["value"]), (4, 4), textcoords="offset points", fontsize=7)
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(once.values(), once.keys(), fontsize=8)
    return _svg(figure, title)


def bars(rows: Mapping[str, Mapping[str, Mapping[str, Any]]], y: str, title: str) -> str:
    """A group of bars a model, a bar a class or organization: `rows` by model, then by bar."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(name for some in rows.values() for name in some))
    width = 0.8 / max(1, len(names))
    for number, name in enumerate(names):
        some = [(place, row[name]) for place, row in enumerate(rows.values()) if name in row]
        axes.bar(
            [place + (number - (len(names) - 1) / 2) * width for place, _ in some],
            [one["value"] for _, one in some],
            width,
            yerr=[[_reach(one)[side][0] for _, one in some] for side in (0, 1)],
            color=COLOURS[number % len(COLOURS)], label=name, error_kw={"elinewidth": 0.8}, capsize=2,
        )  # fmt: skip
    axes.set_xticks(range(len(rows)), list(rows), rotation=20, ha="right", fontsize=8)
    axes.set(ylabel=y, title=title)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    return _svg(figure, title)


def _reach(row: Mapping[str, Any]) -> list[list[float]]:
    return [[max(0.0, row["value"] - row["low"])], [max(0.0, row["high"] - row["value"])]]


def _svg(figure: Figure, title: str) -> str:
    """The figure as one element; equal figures give equal text, and no two pictures share the names inside."""
    out = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": title, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue().decode()
    return text[text.index("<svg") :].strip()
