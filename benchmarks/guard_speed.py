"""How fast is the guard, how large its index? Beside datasketch's MinHashLSH with its Redis storage, on one server.

A check is timed warm, one after the other, in a process of its own, with the standard library as commons in the index;
datasketch is asked about the same texts in turn with the guard. Then the index is filled with random postings of
another organization, written as real ones are, and the same texts are asked again: `growth` is how much the median
check takes longer. What the filling takes in the store is the size, and taking it back is the removal.
`store_share` is the part of a check that waits for the store, `round_trips` what the server counts a check. Sizes are
differences of the server's `used_memory`. A fragment is a window of about 16 lines (128 tokens, every 64), datasketch's
one of 16 lines, every 8.

datasketch keeps pickles in Redis; it gets a private server here, which is thrown away with everything in it.

    SCALE=small|full python benchmarks/guard_speed.py [--json] [--cache DIR]
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clones import spans
from corpora import INDEXED, NEGATIVE, SMALL, CorpusDownloadError, Project, python_files, sources
from filling import fill
from latency import latency
from options import options_of
from peers import PARAMETERS, RedisLsh, signatures, windows
from report import Report, progress

from guard.commons import add_standard_library
from guard.ingest import IndexAddress, IngestReport, ingest
from guard.store import Store, open_store
from guard.tree import Tree
from guard.types import Owner
from guard.withdrawal import withdraw

if TYPE_CHECKING:
    import argparse

LENGTHS = (15, 60)
OWNER = Owner.organization("corpus")
FILLER = Owner.organization("filler")
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Size:
    """How much is indexed and asked.

    `windows`: how many of them datasketch gets, at some milliseconds each. `filling`: fragments put in on top.
    """

    indexed: tuple[Project, ...]
    asked: tuple[Project, ...]
    questions: int
    windows: int
    filling: int


SIZES = {
    "small": Size(INDEXED[:4], NEGATIVE[:4], questions=300, windows=2000, filling=100_000),
    "full": Size(INDEXED + NEGATIVE[SMALL:], NEGATIVE[:SMALL], questions=2000, windows=20_000, filling=1_000_000),
}


def main() -> None:
    """Measure, print, and end with the JSON line."""
    options = options_of(__doc__, SIZES)
    size = SIZES[options.scale]
    asked = list(sources(size.asked, options.cache).values())
    report = Report("guard-speed")
    with progress() as bar, tempfile.TemporaryDirectory(prefix="cr-bench-") as folder:
        tree = one_tree(sources(size.indexed, options.cache), Path(folder) / "corpus")
        address = IndexAddress(None, Path(folder) / "home", hashlib.sha256(b"benchmark").digest())
        task = bar.add_task("commons", total=7)
        with open_store(None, address.home) as store:
            add_standard_library(address)
            bar.update(task, advance=1, description="one job")
            held = _build(report, store, address, tree)
            bar.update(task, advance=1, description="datasketch")
            _build_peer(report, store, tree, size, held)
            bar.update(task, advance=1, description="checks")
            _check(report, address, tree, asked, size)
            bar.update(task, advance=1, description="filling")
            _fill(report, store, address, size)
            bar.update(task, advance=1, description="checks, filled")
            _check(report, address, tree, asked, size, "_filled")
            _grow(report)
            bar.update(task, advance=1, description="removal")
            _remove(report, store, address)
            bar.update(task, advance=1, description="two jobs")
            _build_again(report, address, tree)
    _hold(report)
    _describe(report, options)
    report.show(json_only=options.json)


def one_tree(projects: dict[str, Path], folder: Path) -> Path:
    """The projects side by side in one folder: a tree large enough that starting workers does not count."""
    for name, source in projects.items():
        shutil.copytree(source, folder / name)
    return folder


def _build(report: Report, store: Store, address: IndexAddress, tree: Path) -> int:
    """Index the tree by one process; answer the bytes that it takes in the store."""
    empty = used_memory(store)
    built = ingest(address, Tree(tree, OWNER), jobs=1)
    held = used_memory(store) - empty
    report.figures.update(_build_figures(built, "one_job"))
    report.figures["fragments"] = built.fragments
    report.figures["source_mb"] = built.size / MEGABYTE
    return held


def _fill(report: Report, store: Store, address: IndexAddress, size: Size) -> None:
    """Fill the index with another organization's random postings."""
    with address.opened() as (index, _):
        before = used_memory(store)
        began = time.perf_counter()
        filled = fill(index, FILLER, size.filling)
        report.figures["filling_fragments_a_second"] = filled / (time.perf_counter() - began)
        report.figures["filled_fragments"] = filled
        # Bytes a fragment are megabytes a million of them.
        report.figures["mb_a_million_fragments"] = (used_memory(store) - before) / filled


def _grow(report: Report) -> None:
    figures = report.figures
    for lines in LENGTHS:
        figures[f"growth_{lines}_lines"] = figures[f"p50_{lines}_lines_filled_ms"] / figures[f"p50_{lines}_lines_ms"]


def _remove(report: Report, store: Store, address: IndexAddress) -> None:
    """Withdraw the filling organization, then the other, so that it can be built again."""
    figures = report.figures
    with address.opened() as (index, _):
        before = used_memory(store)
        began = time.perf_counter()
        withdraw(index, FILLER)
        seconds = time.perf_counter() - began
        figures["removed_mb"] = (before - used_memory(store)) / MEGABYTE
        withdraw(index, OWNER)
    figures["removal_s_100k_fragments"] = seconds / figures["filled_fragments"] * 100_000


def _build_again(report: Report, address: IndexAddress, tree: Path) -> None:
    """Index the tree by two processes."""
    figures = report.figures
    figures.update(_build_figures(ingest(address, Tree(tree, OWNER), jobs=2), "two_jobs"))
    figures["two_jobs_speedup"] = figures["mb_a_second_two_jobs"] / figures["mb_a_second_one_job"]


def used_memory(store: Store) -> int:
    """Bytes that the server says it uses."""
    memory: Any = store.writer.info("memory")
    return int(memory["used_memory"])


def _build_figures(report: IngestReport, name: str) -> dict[str, float]:
    return {
        f"files_a_second_{name}": report.added / report.seconds,
        f"fragments_a_second_{name}": report.fragments / report.seconds,
        f"mb_a_second_{name}": report.size / MEGABYTE / report.seconds,
    }


def _build_peer(report: Report, store: Store, tree: Path, size: Size, held: int) -> None:
    """Have datasketch index some of the same tree's windows on the same server."""
    cut = [window for _, text in python_files(tree) for window in windows(text)]
    some = cut[:: max(1, len(cut) // size.windows)][: size.windows]
    empty = used_memory(store)
    began = time.perf_counter()
    RedisLsh.beside(store).insert((f"w{number}", signature) for number, signature in enumerate(signatures(some)))
    report.figures["datasketch_windows_a_second"] = len(some) / (time.perf_counter() - began)
    taken = (used_memory(store) - empty) / len(some)
    report.figures["datasketch_mb_a_million_windows"] = taken
    report.figures["times_smaller_unfilled"] = taken * len(cut) / held
    report.figures["windows_a_fragment"] = len(cut) / report.figures["fragments"]


def _check(report: Report, address: IndexAddress, tree: Path, asked: list[Path], size: Size, state: str = "") -> None:
    """Time independent and copied text of each length; `state` goes behind the name of every figure."""
    most = 0
    for lines in LENGTHS:
        for name, folders in ((f"{lines}_lines", asked), (f"{lines}_lines_copied", [tree])):
            # Spawned, so that nothing of this process is in its way.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                found = pool.submit(latency, address, _texts(folders, lines, size.questions)).result()
            report.figures.update(found.figures(name + state))
            most = max(most, found.most_round_trips)
    report.figures[f"most_round_trips{state}"] = most


def _texts(folders: list[Path], lines: int, count: int) -> list[str]:
    """`count` spans of so many lines, evenly spread over the folders' files."""
    texts = [span for folder in folders for span in spans(python_files(folder), lines)]
    return texts[:: max(1, len(texts) // count)][:count]


def _hold(report: Report) -> None:
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


def _describe(report: Report, options: argparse.Namespace) -> None:
    figures = report.figures
    rows = []
    for lines in LENGTHS:
        for name, label in (
            (f"{lines}_lines", "independent"),
            (f"{lines}_lines_filled", "independent, filled"),
            (f"{lines}_lines_copied_filled", "copied, filled"),
        ):
            row = [f"{figures[f'{figure}_{name}_ms']:.2f}" for figure in ("p50", "p99")]
            row += [f"{figures[f'store_share_{name}']:.0%}", f"{figures[f'round_trips_{name}']:.2f}"]
            row += [f"{figures[f'blocked_{name}']:.1%}"]
            row += [f"{figures[f'datasketch_{figure}_{name}_ms']:.2f}" for figure in ("p50", "p99")]
            rows.append([f"{lines} lines, {label}", *row, f"{figures[f'times_faster_{name}']:.1f}"])
    columns = ["", "p50 ms", "p99 ms", "store", "round trips", "blocked", "datasketch p50", "p99", "times faster"]
    report.table("One check", columns, rows)
    built_rows = [
        [label, *(f"{figures[f'{what}_a_second_{name}']:,.1f}" for what in ("files", "fragments", "mb"))]
        for name, label in (("one_job", "one job"), ("two_jobs", "two jobs"))
    ]
    built_rows.append(["datasketch, one job", "", f"{figures['datasketch_windows_a_second']:,.1f}", ""])
    report.table("Building", ["", "files/s", "fragments/s", "MB/s"], built_rows)
    sizes = [
        ["guard", f"{figures['mb_a_million_fragments']:,.0f}"],
        ["datasketch", f"{figures['datasketch_mb_a_million_windows']:,.0f}"],
    ]
    report.table("Size", ["", "MB a million fragments"], sizes)
    filled = f"filled by {figures['filled_fragments']:,.0f} random fragments"
    indexed = (
        f"{figures['fragments']:,.0f} fragments of {figures['source_mb']:.1f} MB beside the standard library, {filled}"
    )
    removal = (
        f"{figures['removal_s_100k_fragments']:.1f} s a 100,000 fragments, {figures['removed_mb']:.1f} MB given back"
    )
    report.notes += [
        f"{indexed}, SCALE={options.scale}, {os.cpu_count()} cores",
        f"removal of the filling organization: {removal}",
        PARAMETERS,
    ]


if __name__ == "__main__":
    try:
        main()
    except CorpusDownloadError as error:
        sys.exit(f"error: {error}")
