"""How fast is the guard, how large its index? Beside datasketch's MinHashLSH with its Redis storage, on one server.

A check is timed warm, one after the other, in a process of its own, with the standard library as commons in the index;
datasketch is asked about the same texts in turn with the guard. Then the index is filled with random postings of
another organization, written as real ones are, and the same texts are asked again: `growth` is how much the median
check takes longer. What the filling takes in the store is the size, and taking it back, while another process goes on
checking, is the removal. An update is one changed file, from its text until it is indexed.
`store_share` is the part of a check that waits for the store, `round_trips` what the server counts a check. Sizes are
differences of the server's `used_memory`. A fragment is a window of about 16 lines (128 tokens, every 64), datasketch's
one of 16 lines, every 8.

datasketch keeps pickles in Redis; it gets a private server here, which is thrown away with everything in it.

    SCALE=small|full python benchmarks/guard_speed.py [--json] [--cache DIR]
"""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clones import spans
from corpora import INDEXED, NEGATIVE, SMALL, python_files, sources
from filling import fill
from latency import latency
from meanwhile import checking
from options import options_of
from peers import RedisLsh, signatures, windows
from report import Report, progress
from speed_report import LENGTHS, describe, hold
from updating import update_times

from guard.commons import add_standard_library
from guard.ingest import IndexAddress, IngestReport, ingest
from guard.store import Store, open_store
from guard.tree import Tree
from guard.types import Owner
from guard.withdrawal import withdraw
from published.errors import PublishedCodeError

if TYPE_CHECKING:
    from rich.progress import Progress

    from published.releases import Release

OWNER = Owner.organization("corpus")
FILLER = Owner.organization("filler")
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Size:
    """How much is indexed and asked.

    `windows`: how many of them datasketch gets, at some milliseconds each. `filling`: fragments put in on top.
    """

    indexed: tuple[Release, ...]
    asked: tuple[Release, ...]
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
        task = bar.add_task("commons", total=8)
        with open_store(None, address.home) as store:
            commons = add_standard_library(address).fragments
            bar.update(task, advance=1, description="one job")
            held = _build(report, store, address, tree)
            report.figures["fragments_before_filling"] = report.figures["fragments"] + commons
            bar.update(task, advance=1, description="datasketch")
            _build_peer(report, store, tree, size, held)
            bar.update(task, advance=1, description="checks")
            _check(report, address, tree, asked, size)
            bar.update(task, advance=1, description="filling")
            _fill(report, store, address, size, bar)
            bar.update(task, advance=1, description="checks, filled")
            _check(report, address, tree, asked, size, "_filled")
            _grow(report)
            bar.update(task, advance=1, description="update")
            report.figures |= update_times(address, OWNER, tree.parent)
            bar.update(task, advance=1, description="removal")
            _remove(report, store, address, _texts(asked, LENGTHS[-1], size.questions))
            bar.update(task, advance=1, description="two jobs")
            _build_again(report, address, tree)
    hold(report)
    describe(report, options.scale)
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


def _fill(report: Report, store: Store, address: IndexAddress, size: Size, bar: Progress) -> None:
    """Fill the index with another organization's random postings."""
    task = bar.add_task("fragments", total=size.filling)
    with address.opened() as (index, _):
        before = used_memory(store)
        began = time.perf_counter()
        filled = fill(index, FILLER, size.filling, progress=lambda done: bar.update(task, completed=done))
        report.figures["filling_fragments_a_second"] = filled / (time.perf_counter() - began)
        report.figures["filled_fragments"] = filled
        report.figures["fragments_after_filling"] = report.figures["fragments_before_filling"] + filled
        # Bytes a fragment are megabytes a million of them.
        report.figures["mb_a_million_fragments"] = (used_memory(store) - before) / filled


def _grow(report: Report) -> None:
    figures = report.figures
    for lines in LENGTHS:
        figures[f"growth_{lines}_lines"] = figures[f"p50_{lines}_lines_filled_ms"] / figures[f"p50_{lines}_lines_ms"]


def _remove(report: Report, store: Store, address: IndexAddress, texts: list[str]) -> None:
    """Withdraw the filling organization while texts are checked, then the other, so that it can be built again."""
    figures = report.figures
    with address.opened() as (index, _):
        before = used_memory(store)
        with checking(address, texts) as checks:
            began = time.perf_counter()
            withdraw(index, FILLER)
            seconds = time.perf_counter() - began
        figures |= checks.figures("removal")
        report.notes += [f"refused during the removal, {count} times: {why}" for why, count in checks.refused.items()]
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


if __name__ == "__main__":
    try:
        main()
    except PublishedCodeError as error:
        sys.exit(f"error: {error}")
