"""What differential privacy costs and buys: one training without it, and one at each of the epsilons 8, 3 and 1.

The unit is one function: functions of four organizations (`organizations.py`), each a file of its own that fits into
one row, with canaries in some of them. All begin at the same base (`beginner.py`), and have the same passes; each is
measured and kept (`trial.py`), so that what was interrupted goes on.

    SCALE=small|full python benchmarks/reproduce_privacy.py [--json] [--cache DIR] [--seeds 1,2,3] [--workers N]
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arms import written
from beginner import Size as BaseSize
from beginner import split_corpus
from campaign import add_options, base_of, make_all, seeds_of
from clones import functions
from corpora import python_files, sources
from options import options_of
from organizations import RELEASES
from report import Report, progress
from reproduction_tables import across, cells, result_of
from trial import Measuring, Trial, interruptible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.progress import Progress

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
    seeds: tuple[int, ...] = (1, 2, 3)


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
    options = options_of(__doc__, SIZES, more=add_options)
    size = SIZES[options.scale]
    folder = options.cache / f"reproduce-privacy-{options.scale}"
    folder.mkdir(parents=True, exist_ok=True)
    seeds = seeds_of(options, size.seeds)
    with progress() as bar:
        trees = {name: dict(python_files(path)) for name, path in sources(RELEASES, options.cache).items()}
        results = made_again(folder, trees, size, seeds, options.workers, bar)
    report = Report("reproduce-privacy")
    answer(report, results)
    report.notes.append("in brackets 95 % limits, of several seeds over them (Student's t)")
    report.notes.append(f"SCALE={options.scale}, seeds {', '.join(map(str, seeds))}")
    report.show(json_only=options.json)


def made_again(
    folder: Path,
    trees: Mapping[str, Mapping[str, str]],
    size: Size,
    seeds: Sequence[int],
    workers: int,
    bar: Progress,
) -> dict[float | None, list[dict[str, Any]]]:
    """The results of all seeds at each epsilon; None is without privacy. A seed draws functions and canaries, too."""
    start = base_of(folder, size.base, workers, bar)
    trials = {}
    for seed in seeds:
        drawn = folder / f"seed-{seed}"
        corpora = {name: planted(drawn, name, files, size, seed) for name, files in trees.items()}
        for epsilon in EPSILONS:
            plan = plan_text(epsilon, seed, start, corpora, size)
            trials[epsilon, seed] = Trial(drawn / "runs" / _name(epsilon), plan, corpora, size.measuring, seed)
    make_all(trials.values(), workers, bar)
    return {epsilon: [result_of(trials[epsilon, seed].folder) for seed in seeds] for epsilon in EPSILONS}


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


def answer(report: Report, results: Mapping[float | None, Sequence[Mapping[str, Any]]]) -> None:
    """Enter figures and the table."""
    report.table(
        "By epsilon", ["epsilon, for one function", "noise", *SHOWN.values()],
        [_row(epsilon, some) for epsilon, some in results.items()],
    )  # fmt: skip
    for epsilon, some in results.items():
        for name in ("training_loss", "next_token_accuracy", "extractable_32", "canary_auc", "canary_exposure"):
            found = across([one["measures"][name] for one in some])
            if found is not None:
                report.figures[f"{_name(epsilon).replace('-', '_')}_{name}"] = found["value"]
    report.figures["cpu_seconds"] = sum(
        one["training_seconds"] + one["measuring_seconds"] for some in results.values() for one in some
    )
    report.notes += [
        f"the unit of privacy is one function, a line of train.jsonl; delta {DELTA:g}; a canary stands in one",
        "epsilon is at least: what the canaries prove (Steinke, Nasr & Jagielski 2023); 0 proves nothing",
    ]


def _row(epsilon: float | None, some: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    shown = cells(SHOWN, some)
    spent = [one["run"]["privacy"] for one in some]
    if spent[0] is None:
        return ["none", "-", *shown]
    most, noise = max(one["epsilon"] for one in spent), max(one["noise_multiplier"] for one in spent)
    return [f"{epsilon:g} (spent {most:.2f})", f"{noise:.2f}", *shown]


if __name__ == "__main__":
    interruptible(main)
