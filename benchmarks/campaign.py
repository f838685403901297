"""Many trainings from one base: which seeds, how many at once, and how far they are. Knows no regime."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from beginner import base
from trial import all_made

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection
    from pathlib import Path

    from beginner import Size as BaseSize
    from rich.progress import Progress
    from trial import Trial

    from training.log import At


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--seeds` and `--workers`."""
    parser.add_argument("--seeds", help="seeds with commas between them (default: those of the scale)")
    workers = min(2, os.cpu_count() or 1)
    parser.add_argument("--workers", type=int, default=workers, help="trainings at once (default: %(default)s)")


def seeds_of(options: argparse.Namespace, usual: tuple[int, ...]) -> tuple[int, ...]:
    """The seeds that were asked for, or the usual ones."""
    return usual if options.seeds is None else tuple(int(seed) for seed in options.seeds.split(","))


def base_of(folder: Path, size: BaseSize, workers: int, bar: Progress) -> Path:
    """The base at which all begin, trained unless `folder` has it."""
    task = bar.add_task("base", total=None)

    def reading(at: At) -> None:
        bar.update(task, completed=at.done, total=at.total)

    return base(folder, size, workers, reading)


def processes(workers: int) -> ProcessPoolExecutor:
    """Processes in which trials are made."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))


def make_all(trials: Collection[Trial], workers: int, bar: Progress) -> None:
    """Make the trials, so many at once. Raises as `trial.made`."""
    task = bar.add_task("trainings", total=len(trials))
    with processes(workers) as pool:
        all_made(pool, list(trials), lambda: bar.advance(task))
