"""What differential privacy costs and buys: one training without it, and one at each of the epsilons 8, 3 and 1.

The unit is one function: functions of four organizations (`organizations.py`), each a file of its own that fits into
one row, with canaries in some of them. All begin at the same base (`beginner.py`), and have the same passes; each is
measured and kept (`trial.py`), so that what was interrupted goes on.

    SCALE=small|full python benchmarks/reproduce_privacy.py [--json] [--cache DIR] [--seed N] [--workers N]
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arms import written
from beginner import Size as BaseSize
from beginner import base, split_corpus
from clones import functions
from corpora import python_files, sources
from options import options_of
from organizations import RELEASES
from report import Report, progress
from reproduction_tables import result_of
from trial import Measuring, Trial, all_made, interruptible

from training.report_tables import told

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.progress import Progress

    from training.log import At

EPSILONS = (None, 8.0, 3.0, 1.0)
DELTA = 1e-5
SHORTEST, LONGEST = 250, 400
"""Characters of a function: with a canary it is to fit into a row."""
SHOWN = {
    "training_loss": "loss on training functions",
    "held_out_loss": "loss on test functions",
    "next_token_accuracy": "next token, accuracy",
    "extractable_32": "extractable after 32 tokens",
    "mia_auc": "membership, AUC",
    "canary_auc": "canaries, AUC",
    "canary_exposure": "exposure, bits",
    "canary_exposure_absent": "of absent ones",
    "audit_epsilon": "epsilon is at least",
}


@dataclass(frozen=True, slots=True)
class Size:
    """Functions and canaries of each organization, the base, the training, what is measured."""

    functions: int
    canaries: int
    base: BaseSize
    passes: int
    batch: int
    block: int
    learning_rate: float
    measuring: Measuring


SIZES = {
    "small": Size(
        functions=24, canaries=24,
        base=BaseSize(width=128, layers=2, vocabulary=1024, public=800_000, passes=1.0),
        passes=20, batch=8, block=192, learning_rate=3e-3,
        measuring=Measuring(samples=32, tokens=64, places=100, files=24, completions=8),
    ),
    "full": Size(
        functions=2000, canaries=250,
        base=BaseSize(width=256, layers=6, vocabulary=4096, public=8_000_000, passes=2.0),
        passes=10, batch=64, block=256, learning_rate=2e-3,
        measuring=Measuring(samples=500, tokens=128, places=500, files=500, completions=100),
    ),
}  # fmt: skip


def main() -> None:
    """Draw, plant, train, measure, print."""
    options = options_of(__doc__, SIZES, seeded=True, more=_own_options)
    size = SIZES[options.scale]
    folder = options.cache / f"reproduce-privacy-{options.scale}"
    folder.mkdir(parents=True, exist_ok=True)
    with progress() as bar:
        trees = {name: dict(python_files(path)) for name, path in sources(RELEASES, options.cache).items()}
        results = made_again(folder, trees, size, options.seed, options.workers, bar)
    report = Report("reproduce-privacy")
    answer(report, results)
    report.notes.append(f"SCALE={options.scale}, seed {options.seed}; in brackets 95 % limits of this one training")
    report.show(json_only=options.json)


def _own_options(parser: argparse.ArgumentParser) -> None:
    workers = min(2, os.cpu_count() or 1)
    parser.add_argument("--workers", type=int, default=workers, help="trainings at once (default: %(default)s)")


def made_again(
    folder: Path, trees: Mapping[str, Mapping[str, str]], size: Size, seed: int, workers: int, bar: Progress
) -> dict[float | None, dict[str, Any]]:
    """The result at each epsilon; None is without privacy."""
    corpora = {name: planted(folder, name, files, size, seed) for name, files in trees.items()}
    beginning = bar.add_task("base", total=None)

    def reading(at: At) -> None:
        bar.update(beginning, completed=at.done, total=at.total)

    start = base(folder, size.base, workers, reading)
    trials = {
        epsilon: Trial(
            folder / "runs" / f"{_name(epsilon)}-{seed}", plan_text(epsilon, seed, start, corpora, size), corpora,
            size.measuring, seed,
        )
        for epsilon in EPSILONS
    }  # fmt: skip
    task = bar.add_task("trainings", total=len(trials))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        all_made(pool, list(trials.values()), lambda: bar.advance(task))
    return {epsilon: result_of(trial.folder) for epsilon, trial in trials.items()}


def planted(folder: Path, name: str, files: Mapping[str, str], size: Size, seed: int) -> Path:
    """A corpus of functions, a file each, with canaries that stand in one function each."""
    from training.memorization.planting import plant_corpus  # noqa: PLC0415

    done = folder / "planted" / name
    if done.is_dir():
        return done
    some = sorted({one.text for one in functions(name, files.items()) if SHORTEST <= len(one.text) <= LONGEST})
    random.Random(f"{name} {seed}").shuffle(some)  # noqa: S311 - not for secrets
    tree = folder / "functions" / name
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for number, text in enumerate(some[: size.functions]):
        (tree / f"function{number}.py").write_text(text + "\n", encoding="utf-8")
    split_corpus(tree, folder / "corpora" / name)
    done.parent.mkdir(parents=True, exist_ok=True)
    plant_corpus(folder / "corpora" / name, done, size.canaries, 1, seed)
    return done


def _name(epsilon: float | None) -> str:
    return "none" if epsilon is None else f"epsilon-{epsilon:g}"


def plan_text(epsilon: float | None, seed: int, start: Path, corpora: Mapping[str, Path], size: Size) -> str:
    """The plan at an epsilon for each function; the same without [privacy] for None."""
    sections: dict[str, dict[str, Any]] = {
        "model": {"base": str(start), "method": "full", "device": "cpu"},
        "budget": {"passes": size.passes},
        "optimizer": {"learning_rate": size.learning_rate, "batch": size.batch, "block": size.block},
        "data": {"deduplicate": False},
    }
    if epsilon is not None:
        sections["privacy"] = {"unit": "example", "epsilon": epsilon, "delta": DELTA}
    return written(_name(epsilon), seed, sections, corpora)


def answer(report: Report, results: Mapping[float | None, dict[str, Any]]) -> None:
    """Enter figures and the table."""
    report.table(
        "By epsilon", ["epsilon, for one function", "noise", *SHOWN.values()],
        [_row(epsilon, result) for epsilon, result in results.items()],
    )  # fmt: skip
    for epsilon, result in results.items():
        for name in ("training_loss", "next_token_accuracy", "extractable_32", "canary_auc", "canary_exposure"):
            report.figures[f"{_name(epsilon).replace('-', '_')}_{name}"] = result["measures"][name]["value"]
    report.figures["cpu_seconds"] = sum(one["training_seconds"] + one["measuring_seconds"] for one in results.values())
    report.notes += [
        f"the unit of privacy is one function, a line of train.jsonl; delta {DELTA:g}; a canary stands in one",
        "epsilon is at least: what the canaries prove (Steinke, Nasr & Jagielski 2023); 0 proves nothing",
    ]


def _row(epsilon: float | None, result: Mapping[str, Any]) -> Sequence[str]:
    privacy, measures = result["run"]["privacy"], result["measures"]
    cells = [told("accuracy_ratio" if name == "next_token_accuracy" else name, measures.get(name)) for name in SHOWN]
    if privacy is None:
        return ["none", "-", *cells]
    return [f"{epsilon:g} (spent {privacy['epsilon']:.2f})", f"{privacy['noise_multiplier']:.2f}", *cells]


if __name__ == "__main__":
    interruptible(main)
