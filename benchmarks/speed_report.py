"""What the speed benchmark says of its figures: the bars and the tables. Knows how to measure nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from peers import PARAMETERS

if TYPE_CHECKING:
    from report import Report

LENGTHS = (15, 60)
"""Lines of the texts that are asked about."""


def hold(report: Report) -> None:
    """The bars."""
    figures = report.figures
    peer = figures["datasketch_mb_a_million_windows"] * figures["windows_a_fragment"]
    figures["times_smaller"] = peer / figures["mb_a_million_fragments"]
    report.at_most("p50_60_lines_filled_ms", 1.0)
    report.at_most("p99_60_lines_filled_ms", 5.0)
    report.at_most("most_round_trips_filled", 2)
    report.at_most("growth_60_lines", 1.5)
    report.at_least("times_faster_60_lines_filled", 15)
    report.at_least("times_smaller", 20)
    report.at_most("mb_a_million_fragments", 350)
    report.at_least("fragments_a_second_one_job", 5000)
    report.at_least("mb_a_second_one_job", 3)
    report.at_most("removal_s_100k_fragments", 10)


def describe(report: Report, scale: str) -> None:
    """The tables and what must be known to read them."""
    _checks(report)
    _building(report)
    figures = report.figures
    sizes = [
        ["guard", f"{figures['mb_a_million_fragments']:,.0f}", ""],
        ["datasketch", f"{figures['datasketch_mb_a_million_windows']:,.0f}", f"{figures['times_smaller']:.1f}"],
    ]
    columns = ["", "MB a million fragments or windows", "of the same code, times the guard's"]
    report.table("Size", columns, sizes)
    _removal(report)
    corpus = f"{figures['fragments']:,.0f} fragments of {figures['source_mb']:.1f} MB beside the standard library"
    filled = (
        f"{figures['filled_fragments']:,.0f} random fragments, {figures['filling_fragments_a_second']:,.0f} a second"
    )
    sizes_of = [f"{figures[f'fragments_{when}_filling']:,.0f}" for when in ("before", "after")]
    report.notes += [
        f"{corpus}, filled by {filled}, SCALE={scale}, {os.cpu_count()} cores",
        f"growth of p50, 60 lines: {figures['growth_60_lines']:.2f} times from {' to '.join(sizes_of)} fragments",
        PARAMETERS,
    ]


def _checks(report: Report) -> None:
    figures = report.figures
    rows = []
    for lines in LENGTHS:
        for name, label in (
            (f"{lines}_lines", "clean"),
            (f"{lines}_lines_filled", "clean, filled"),
            (f"{lines}_lines_copied_filled", "copy, filled"),
        ):
            row = [f"{figures[f'{figure}_{name}_ms']:.2f}" for figure in ("p50", "p99")]
            row += [f"{figures[f'store_share_{name}']:.0%}", f"{figures[f'round_trips_{name}']:.2f}"]
            row += [f"{figures[f'blocked_{name}']:.1%}"]
            row += [f"{figures[f'datasketch_{figure}_{name}_ms']:.2f}" for figure in ("p50", "p99")]
            rows.append([f"{lines} lines, {label}", *row, f"{figures[f'times_faster_{name}']:.1f}"])
    columns = ["", "p50 ms", "p99 ms", "store", "round trips", "blocked", "datasketch p50", "p99", "times faster"]
    report.table("One check", columns, rows)


def _building(report: Report) -> None:
    figures = report.figures
    rows = []
    for jobs, name, label in ((1, "one_job", "one job"), (2, "two_jobs", "two jobs")):
        files, fragments, size = (figures[f"{what}_a_second_{name}"] for what in ("files", "fragments", "mb"))
        each = (f"{fragments / jobs:,.0f}", f"{size / jobs:,.1f}")
        rows.append([label, f"{files:,.0f}", f"{fragments:,.0f}", f"{size:,.1f}", *each])
    windows = f"{figures['datasketch_windows_a_second']:,.0f}"
    rows.append(["datasketch, one job (windows)", "", windows, "", windows, ""])
    report.table("Building", ["", "files/s", "fragments/s", "MB/s", "fragments/s a job", "MB/s a job"], rows)


def _removal(report: Report) -> None:
    figures = report.figures
    rows = [
        ("taking the filling back, s a 100,000 fragments", f"{figures['removal_s_100k_fragments']:.1f}"),
        ("MB given back", f"{figures['removed_mb']:.1f}"),
        ("checks of 60 lines meanwhile", f"{figures['checks_during_removal']:,.0f}"),
        ("of which refused", f"{figures['refused_during_removal']:.0f}"),
        *((f"{name} of them, ms", f"{figures[f'{name}_during_removal_ms']:.1f}") for name in ("p50", "p99", "slowest")),
        *((f"{name} of indexing a changed file, ms", f"{figures[f'update_{name}_ms']:.1f}") for name in ("p50", "p99")),
    ]
    report.table("Removal and update", ["", "measured"], rows)
