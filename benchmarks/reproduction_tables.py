"""What the reproduction found, over seeds, beside the paper's figures. Knows results, and trains nothing."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arms import LOSS, PASSES
from trial import RESULT

from training.report_tables import MEASURES, markdown, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from arms import Arm
    from report import Report

    Measure = dict[str, Any]
    """A value with `low`, `high` and `n`, as measurements have it."""

PAPER = {"centralized": 6.353, "FedAvg": 0.517, "FedYogi": 0.004, "incremental": 8.130}
"""Memorization ratios in percent, of Chen & Jiang, arXiv 2409.12020; of incremental training the last data set's."""
QUALITY_BAR = 0.95
SHOWN = {
    "training_loss": "loss on training files",
    "held_out_loss": "loss on test files",
    "next_token_accuracy": "next token, accuracy",
    "edit_similarity": MEASURES["edit_similarity"],
    "clone_ratio": MEASURES["clone_ratio"],
    "extractable_32": MEASURES["extractable_32"],
    "mia_auc": MEASURES["mia_auc"],
}
_STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Two-sided 95 % points of Student's t for so many values."""
_NORMAL = 1.96


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial came to."""

    arm: Arm
    seed: int
    folder: Path
    result: dict[str, Any]

    @classmethod
    def of(cls, arm: Arm, seed: int, folder: Path) -> Outcome:
        """The result in a run's folder."""
        return cls(arm, seed, folder, result_of(folder))


def result_of(folder: Path) -> dict[str, Any]:
    """The result in a run's folder, as `trial.made` writes it."""
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result


def across(values: Sequence[Measure]) -> Measure | None:
    """The mean over seeds with Student's limits; of one seed its own limits; None where nothing was measured.

    Limits do not leave what is possible: 0 to 1 for shares, which all but losses are. Where all seeds say the same, as
    of what none of them recites, they have no spread to tell anything by: the limits are then the widest of a seed.
    """
    if len(values) < 2:  # noqa: PLR2004 - a spread takes two
        return values[0] if values else None
    numbers = [float(one["value"]) for one in values]
    if len(set(numbers)) == 1:
        low, high = min(one["low"] for one in values), max(one["high"] for one in values)
        return {"value": numbers[0], "low": low, "high": high, "n": len(numbers)}
    mean = statistics.fmean(numbers)
    reach = _STUDENT.get(len(numbers), _NORMAL) * statistics.stdev(numbers) / math.sqrt(len(numbers))
    most = 1.0 if all(one["high"] <= 1 for one in values) else math.inf
    return {"value": mean, "low": max(0.0, mean - reach), "high": min(most, mean + reach), "n": len(numbers)}


def cells(names: Iterable[str], some: Sequence[Mapping[str, Any]]) -> list[str]:
    """What stands in a row for results of several seeds, a measure each; a dash where none has it."""
    found = {name: across([one["measures"][name] for one in some if name in one["measures"]]) for name in names}
    return [told("accuracy_ratio" if name == "next_token_accuracy" else name, one) for name, one in found.items()]


def answer(report: Report, outcomes: Sequence[Outcome]) -> None:
    """Enter figures, bars and tables."""
    for title, columns, rows in tables(outcomes):
        report.table(title, columns, rows)
    for one in _arms(outcomes):
        some = [outcome for outcome in outcomes if outcome.arm.name == one.name]
        key = one.name.replace("-", "_")
        for name in ("clone_ratio", "extractable_32", "next_token_accuracy", "held_out_loss", "training_loss"):
            measure = across([outcome.result["measures"][name] for outcome in some])
            if measure is not None:
                report.figures[f"{key}_{name}"] = measure["value"]
    for name in ("fedavg", "fedyogi"):
        ratio = quality(outcomes, f"{name}-loss", "centralized-loss")
        if ratio is None:
            continue
        report.figures[f"{name}_quality_of_centralized"] = ratio["value"]
        report.at_least(f"{name}_quality_of_centralized", QUALITY_BAR)
    report.figures["cpu_seconds"] = sum(
        one.result["training_seconds"] + one.result["measuring_seconds"] for one in outcomes
    )
    report.notes.append("in brackets 95 % limits over seeds (Student's t); a dash where nothing was there to measure")


def quality(outcomes: Sequence[Outcome], one: str, other: str) -> Measure | None:
    """Next-token accuracy on test files of one arm over another's, seed by seed; None where no seed has both."""
    by_seed = {(some.arm.name, some.seed): some.result["measures"]["next_token_accuracy"]["value"] for some in outcomes}
    ratios = [
        by_seed[one, seed] / by_seed[other, seed] for name, seed in by_seed if name == one and (other, seed) in by_seed
    ]
    return across([{"value": ratio, "low": ratio, "high": math.inf, "n": 1} for ratio in ratios])


Table = tuple[str, list[str], list[list[str]]]


def tables(outcomes: Sequence[Outcome]) -> list[Table]:
    """All tables that have something to tell: a title, columns, rows."""
    budgets = [budget for budget in (PASSES, LOSS) if any(arm.budget == budget for arm in _arms(outcomes))]
    return [
        *(_regimes(outcomes, budget) for budget in budgets),
        _scopes(outcomes, "by_class", "Extractable after 32 tokens, by class of code"),
        _scopes(outcomes, "by_org", "Extractable after 32 tokens, by organization"),
        _beside(outcomes),
        *_qualities(outcomes),
    ]


def _qualities(outcomes: Sequence[Outcome]) -> list[Table]:
    """The federations' quality beside that of centralized training; nothing where none can be compared."""
    found = {name: quality(outcomes, f"{name.lower()}-loss", "centralized-loss") for name in ("FedAvg", "FedYogi")}
    rows = []
    for name, one in found.items():
        if one is not None:
            # One seed has no limits of its own here.
            limits = f" ({one['low']:.3f} to {one['high']:.3f})" if one["n"] > 1 else ""
            rows.append([name, f"{one['value']:.3f}{limits}", str(one["n"])])
    columns = ["regime", f"next-token accuracy over centralized training's, at {LOSS}", "seeds"]
    return [("Quality", columns, rows)] if rows else []


def _arms(outcomes: Iterable[Outcome]) -> list[Arm]:
    return list({outcome.arm.name: outcome.arm for outcome in outcomes}.values())


def _row(outcomes: Sequence[Outcome], arm: Arm, take: Callable[[dict[str, Any]], Measure | None], name: str) -> str:
    """A cell: a measure of an arm over its seeds."""
    found = [take(one.result) for one in outcomes if one.arm.name == arm.name]
    # Shares are told in percent, by their names.
    shown = "accuracy_ratio" if name == "next_token_accuracy" else name
    return told(shown, across([one for one in found if one is not None]))


def _regimes(outcomes: Sequence[Outcome], budget: str) -> Table:
    rows = []
    for arm in (arm for arm in _arms(outcomes) if arm.budget == budget):
        cells = [_row(outcomes, arm, lambda one, name=name: one["measures"].get(name), name) for name in SHOWN]
        reached = across([_reached(one.result) for one in outcomes if one.arm.name == arm.name])
        rows.append([arm.regime, _passes(outcomes, arm), told("held_out_loss", reached), *cells])
    return f"At {budget}", ["regime", "passes", "loss on validation files", *SHOWN.values()], rows


def _reached(result: dict[str, Any]) -> Measure:
    """The loss that equal loss is told by, at the end of a run."""
    loss = float(result["run"]["validation_loss"])
    return {"value": loss, "low": loss, "high": loss, "n": 1}


def _passes(outcomes: Sequence[Outcome], arm: Arm) -> str:
    """Passes that were made, the mean over seeds."""
    return f"{statistics.fmean(one.result['passes'] for one in outcomes if one.arm.name == arm.name):.1f}"


def _scopes(outcomes: Sequence[Outcome], group: str, title: str) -> Table:
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.result[group]))
    rows = []
    for arm in _arms(outcomes):
        cells = [
            _row(outcomes, arm, lambda one, name=name: one[group].get(name, {}).get("extractable_32"), "extractable_32")
            for name in names
        ]
        rows.append([arm.regime if arm.times > 1 else f"{arm.regime}, {arm.budget}", *cells])
    return title, ["regime", *names], rows


def _beside(outcomes: Sequence[Outcome]) -> Table:
    """The paper's ratio: lines in six-line clones over generated lines."""
    rows = []
    for regime, percent in PAPER.items():
        cells = []
        for budget in (PASSES, LOSS):
            arm = next((arm for arm in _arms(outcomes) if (arm.regime, arm.budget) == (regime, budget)), None)
            take = _last if regime == "incremental" else _all
            cells.append("-" if arm is None else _row(outcomes, arm, take, "clone_ratio"))
        label = "incremental, last organization" if regime == "incremental" else regime
        rows.append([label, f"{percent:.3f} %", *cells])
    longer = [arm for arm in _arms(outcomes) if arm.times > 1]
    rows += [[arm.regime, "-", _row(outcomes, arm, _all, "clone_ratio"), "-"] for arm in longer]
    columns = ["generated lines in clones", "the paper", f"here, {PASSES}", f"here, {LOSS}"]
    return "Beside the paper", columns, rows


def _all(result: dict[str, Any]) -> Measure | None:
    found: Measure | None = result["measures"].get("clone_ratio")
    return found


def _last(result: dict[str, Any]) -> Measure | None:
    """Of the organization that was trained on last, over lines generated from beginnings of its files."""
    found: Measure | None = list(result["asked_for"].values())[-1]
    return found


def write(report: Report, outcomes: Sequence[Outcome], folder: Path) -> str:
    """Write reproduction.md, and report.md and report.html of the single models; says where."""
    from training.report import read_models, write_report  # noqa: PLC0415 - matplotlib takes a second

    models = []
    for outcome in outcomes:
        (model,) = read_models([outcome.folder])
        model.regime, model.budget = outcome.arm.regime, outcome.arm.budget
        models.append(model)
    out = folder / "report"
    _, page = write_report(models, out, "Memorization in models trained together")
    lines = ["# Memorization in models trained together", ""]
    for title, columns, rows in tables(outcomes):
        lines += [f"## {title}", "", markdown(columns, rows), ""]
    lines += [f"- {bar.name}: {bar.value:.4g}, at least {bar.limit:g}" for bar in report.bars]
    (out / "reproduction.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"tables in {out / 'reproduction.md'}, single models and plots in {page}"
