"""What each setting that is known to lower memorization does to it, and to quality: one centralized training for each.

Four organizations with known shared files (`organizations.py`) and one small base (`beginner.py`). Every training has
the same plan but for one setting; the orders of data sets are those of incremental training, beside the order of the
list. Each is measured (`trial.py`) and kept: what was interrupted goes on.

    SCALE=small|full python benchmarks/reproduce_settings.py [--json] [--cache DIR] [--seeds 1,2,3] [--workers N]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arms import written
from beginner import Size as BaseSize
from campaign import add_options, base_of, make_all, seeds_of
from options import options_of
from organizations import Amounts, corpora
from report import Report, progress
from reproduction_tables import across, cells, result_of
from trial import Measuring, Trial, interruptible

from training.report_tables import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.progress import Progress

SHOWN = {
    "training_loss": "loss on training files",
    "held_out_loss": "loss on test files",
    "next_token_accuracy": "next token, accuracy",
    "edit_similarity": MEASURES["edit_similarity"],
    "extractable_32": MEASURES["extractable_32"],
    "extractable_64": MEASURES["extractable_64"],
    "mia_auc": MEASURES["mia_auc"],
}
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "none of them": {},
    "dropout = 0.1": {"model": {"dropout": 0.1}},
    "weight_decay = 0.1": {"optimizer": {"weight_decay": 0.1}},
    "weight_decay = 1.0": {"optimizer": {"weight_decay": 1.0}},
    "deduplicate = true": {"data": {"deduplicate": True}},
    "rename_identifiers = 0.5": {"data": {"rename_identifiers": 0.5}},
    "rename_identifiers = 1.0": {"data": {"rename_identifiers": 1.0}},
    'schedule = "linear"': {"optimizer": {"schedule": "linear"}},
    'schedule = "constant"': {"optimizer": {"schedule": "constant"}},
    "half as many passes": {"budget": {"passes": 0.5}},
    "stop_above = 0.02": {"monitor": {"every": 10, "prefixes": 64, "tokens": 16, "stop_above": 0.02}},
    "incremental, as listed": {"regime": {"kind": "incremental"}},
    'order = "size"': {"regime": {"kind": "incremental", "order": "size"}},
    'order = "diversity"': {"regime": {"kind": "incremental", "order": "diversity"}},
}
"""What a plan has besides the common one; of passes a share of them."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much code, the base, the training, what is measured, and how often all of it is done."""

    amounts: Amounts
    base: BaseSize
    passes: int
    batch: int
    block: int
    learning_rate: float
    measuring: Measuring
    seeds: tuple[int, ...]


SIZES = {
    "small": Size(
        Amounts(shared=2_500, own=3_500, validation=6_000, test=6_000),
        BaseSize(width=128, layers=2, vocabulary=1024, public=800_000, passes=1.0),
        passes=20, batch=4, block=128, learning_rate=3e-3,
        measuring=Measuring(samples=16, tokens=64, places=100, files=30, completions=20),
        seeds=(1, 2, 3),
    ),
    "full": Size(
        Amounts(shared=60_000, own=120_000, validation=40_000, test=40_000),
        BaseSize(width=256, layers=6, vocabulary=4096, public=8_000_000, passes=2.0),
        passes=20, batch=8, block=256, learning_rate=2e-3,
        measuring=Measuring(samples=500, tokens=128, places=500, files=200, completions=200),
        seeds=(1, 2, 3),
    ),
}  # fmt: skip


def main() -> None:
    """Build, train, measure, print."""
    options = options_of(__doc__, SIZES, more=add_options)
    size = SIZES[options.scale]
    seeds = seeds_of(options, size.seeds)
    folder = options.cache / f"reproduce-settings-{options.scale}"
    folder.mkdir(parents=True, exist_ok=True)
    with progress() as bar:
        built = corpora(options.cache, folder, size.amounts)
        results = made_again(folder, built, size, seeds, options.workers, bar)
    report = Report("reproduce-settings")
    answer(report, results)
    report.notes.append(f"SCALE={options.scale}, seeds {', '.join(map(str, seeds))}")
    report.show(json_only=options.json)


def made_again(
    folder: Path, built: Mapping[str, Path], size: Size, seeds: Sequence[int], workers: int, bar: Progress
) -> dict[str, list[dict[str, Any]]]:
    """By setting, the results of all seeds."""
    start = base_of(folder, size.base, workers, bar)
    trials = {
        (name, seed): Trial(
            folder / "runs" / f"{file_name(name)}-{seed}", plan_text(name, seed, start, built, size), built,
            size.measuring, seed,
        )
        for seed in seeds
        for name in SETTINGS
    }  # fmt: skip
    make_all(trials.values(), workers, bar)
    return {name: [result_of(trials[name, seed].folder) for seed in seeds] for name in SETTINGS}


def file_name(setting: str) -> str:
    """A setting as the name of a run: letters, digits, and dashes between them."""
    return "-".join("".join(one if one.isalnum() else " " for one in setting).split())


def plan_text(setting: str, seed: int, start: Path, built: Mapping[str, Path], size: Size) -> str:
    """The common plan with one setting, as TOML."""
    more = SETTINGS[setting]
    common: dict[str, dict[str, Any]] = {
        "model": {"base": str(start), "method": "full", "device": "cpu"},
        "budget": {"passes": size.passes},
        "optimizer": {"learning_rate": size.learning_rate, "batch": size.batch, "block": size.block},
        # What several hold is to be seen as often as they hold it, but for the setting that is about that.
        "data": {"deduplicate": False},
    }
    sections = {name: {**common.get(name, {}), **more.get(name, {})} for name in {**common, **more}}
    if "budget" in more:
        sections["budget"]["passes"] = size.passes * more["budget"]["passes"]
    if sections.get("regime") == {"kind": "incremental"}:
        sections["regime"]["order"] = list(built)
    return written(file_name(setting), seed, sections, built)


def answer(report: Report, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Enter figures and the table."""
    report.table("By setting", ["setting", "passes", *SHOWN.values()], [_row(*one) for one in results.items()])
    for name, some in results.items():
        for measure in ("extractable_32", "next_token_accuracy"):
            found = across([one["measures"][measure] for one in some])
            if found is not None:
                report.figures[f"{file_name(name).replace('-', '_').lower()}_{measure}"] = found["value"]
    report.figures["cpu_seconds"] = sum(
        one["training_seconds"] + one["measuring_seconds"] for some in results.values() for one in some
    )
    report.notes.append("in brackets 95 % limits, of several seeds over them (Student's t)")


def _row(setting: str, some: Sequence[Mapping[str, Any]]) -> list[str]:
    passes = sum(one["passes"] for one in some) / len(some)
    return [setting, f"{passes:.1f}", *cells(SHOWN, some)]


if __name__ == "__main__":
    interruptible(main)
