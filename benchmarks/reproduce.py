"""Memorization in models that organizations train together: Chen & Jiang (arXiv 2409.12020), made again, small.

Four organizations with known shared files (`organizations.py`), one small base that has read public code
(`beginner.py`), and every regime from there (`arms.py`): at equal passes, and at equal validation loss, which is the
lowest that centralized training, FedAvg and FedYogi all come to. Each training is measured (`trial.py`) and kept: what
was interrupted goes on. The tables go to standard output and to reproduction.md, those of the single models with
plots to report.html.

    SCALE=small|full python benchmarks/reproduce.py [--json] [--cache DIR] [--seeds 1,2,3] [--workers N] [--so-far]
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arms import LOSS, PASSES, Training, arms, plan_text
from beginner import Size as BaseSize
from campaign import add_options, base_of, processes, seeds_of
from options import options_of
from organizations import Amounts, corpora
from report import Report, progress
from reproduction_tables import Outcome, answer, result_of, write
from trial import RESULT, Measuring, Trial, all_made, interruptible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from arms import Arm
    from rich.progress import Progress


@dataclass(frozen=True, slots=True)
class Size:
    """How much code, the base, its training, what is measured, and how often all of it is done."""

    amounts: Amounts
    base: BaseSize
    training: Training
    measuring: Measuring
    seeds: tuple[int, ...]


SIZES = {
    "small": Size(
        Amounts(shared=1_500, own=1_500, validation=8_000, test=40_000, largest=2_000),
        BaseSize(width=128, layers=2, vocabulary=1024, public=1_600_000, passes=1.0),
        Training(passes=40, rounds=10, learning_rate=2e-3, batch=2, block=128, server_rate=1e-2),
        Measuring(samples=160, tokens=112, places=75, files=30, completions=10),
        seeds=(1, 2, 3),
    ),
    "full": Size(
        Amounts(shared=60_000, own=120_000, validation=40_000, test=40_000),
        BaseSize(width=256, layers=6, vocabulary=4096, public=8_000_000, passes=2.0),
        Training(passes=20, rounds=10, learning_rate=2e-3, batch=8, block=256, server_rate=1e-3),
        Measuring(samples=1000, tokens=128, places=500, files=200, completions=200, guard=True),
        seeds=(1, 2, 3, 4, 5),
    ),
}


@dataclass(frozen=True, slots=True)
class Ground:
    """What all trials of a scale stand on: their folder, the base, the corpora and the size."""

    folder: Path
    base: Path
    corpora: Mapping[str, Path]
    size: Size

    def trial(self, arm: Arm, seed: int, target: float | None) -> Trial:
        """One trial; `target`: the validation loss that an arm of equal loss aims at."""
        plan = plan_text(arm, seed, self.base, self.corpora, self.size.training, target)
        return Trial(self.folder / "runs" / f"{arm.name}-{seed}", plan, self.corpora, self.size.measuring, seed)


def main() -> None:
    """Build, train, measure, print."""
    options = options_of(__doc__, SIZES, more=_own_options)
    size = SIZES[options.scale]
    seeds = seeds_of(options, size.seeds)
    folder = options.cache / f"reproduce-{options.scale}"
    folder.mkdir(parents=True, exist_ok=True)
    if options.so_far:
        outcomes = finished(folder, size, seeds)
    else:
        with progress() as bar:
            built = corpora(options.cache, folder, size.amounts)
            outcomes = made_again(folder, built, size, seeds, options.workers, bar)
    report = Report("reproduce")
    answer(report, outcomes)
    report.notes += aims(outcomes)
    report.notes += [f"SCALE={options.scale}, seeds {', '.join(map(str, seeds))}; {write(report, outcomes, folder)}"]
    report.show(json_only=options.json)


def _own_options(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument("--so-far", action="store_true", help="train nothing, and tell of what is finished")


def made_again(
    folder: Path, built: Mapping[str, Path], size: Size, seeds: Sequence[int], workers: int, bar: Progress
) -> list[Outcome]:
    """All trials of all seeds, each kept in `folder`; a seed after the other, so that few seeds are whole seeds."""
    ground = Ground(folder, base_of(folder, size.base, workers, bar), built, size)
    every = arms(size.training)
    task = bar.add_task("trainings", total=len(every) * len(seeds))
    outcomes = []
    with processes(workers) as pool:
        for seed in seeds:
            target = None
            for budget in (PASSES, LOSS):
                some = [arm for arm in every if arm.budget == budget]
                trials = {arm.name: ground.trial(arm, seed, target) for arm in some}
                # What takes longest first.
                ordered = [trials[arm.name] for arm in sorted(some, key=lambda arm: -arm.times)]
                all_made(pool, ordered, lambda: bar.advance(task))
                outcomes += [Outcome.of(arm, seed, trials[arm.name].folder) for arm in some]
                target = target or lowest_common({name: trial.folder for name, trial in trials.items()})
    return outcomes


def finished(folder: Path, size: Size, seeds: Sequence[int]) -> list[Outcome]:
    """The outcomes of the trials that are kept."""
    places = [(arm, seed, folder / "runs" / f"{arm.name}-{seed}") for seed in seeds for arm in arms(size.training)]
    found = [Outcome.of(arm, seed, place) for arm, seed, place in places if (place / RESULT).is_file()]
    if not found:
        sys.exit(f"nothing is finished in {folder}: leave --so-far out")
    return found


def aims(outcomes: Sequence[Outcome]) -> list[str]:
    """What the base came to on validation files, and the loss that each seed's arms of equal loss aimed at."""
    rounds = [outcome.folder / "federation.json" for outcome in outcomes if outcome.arm.name == "fedavg"]
    bases = [json.loads(path.read_text(encoding="utf-8"))["rounds"][0]["validation_loss_before"] for path in rounds]
    plans = [outcome.folder / "plan.toml" for outcome in outcomes if outcome.arm.name == "centralized-loss"]
    targets = [tomllib.loads(path.read_text(encoding="utf-8"))["budget"]["validation_loss"] for path in plans]
    found = {"the base's": bases[:1], "aimed at for equal loss": targets}
    told = [f"{name} {', '.join(f'{one:.3f}' for one in values)}" for name, values in found.items() if values]
    return [f"loss on validation files: {'; '.join(told)}"] if told else []


def lowest_common(runs: Mapping[str, Path]) -> float:
    """The lowest validation loss that the compared regimes all came to, in nats a token, on their way."""
    found = []
    for name in ("centralized", "fedavg", "fedyogi"):
        told = result_of(runs[name])["run"]["validation_loss"]
        losses = [told]
        if (runs[name] / "federation.json").is_file():
            rounds = json.loads((runs[name] / "federation.json").read_text(encoding="utf-8"))["rounds"]
            # What the first round receives is the base.
            losses += [one["validation_loss_before"] for one in rounds[1:]]
        else:
            lines = (runs[name] / "log.jsonl").read_text(encoding="utf-8").splitlines()
            losses += [line["validation_loss"] for line in map(json.loads, lines) if "validation_loss" in line]
        found.append(min(loss for loss in losses if loss is not None))
    # A hair above, so that rounding keeps nobody from it.
    return round(max(found) + 5e-4, 3)


if __name__ == "__main__":
    interruptible(main)
