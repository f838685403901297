"""Several measured models side by side, as Markdown and as one page of HTML. Knows what measuring wrote, and no model.

A model is a JSON answer of `cleanroom memorization measure` or `cleanroom evaluate`, or a folder that holds some: of a
run folder, the run's regime and budget are told as well.
"""

from __future__ import annotations

import html
import json
import os
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training.errors import DestinationError, PlanError
from training.plots import Point, bars, scatter
from training.report_tables import MEASURES, by_scope, markdown, shown, told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RESULTS = ("measurement.json", "evaluation.json")
PASSES, LOSS, OTHER = "equal passes", "equal validation loss", "measured"
PICTURES = (
    ("extractable_32", "held_out_loss"),
    ("clone_ratio", "held_out_loss"),
    ("extractable_32", "edit_similarity"),
    ("clone_ratio", "edit_similarity"),
)
"""Memorization against effectiveness: a measure on either axis."""
CLASSES = ("clone_ratio", "extractable_32")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0;font-size:13px}td,th{border:1px solid #ccc;padding:.25rem .5rem;"
    "text-align:right}td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}"
)


@dataclass(slots=True)
class MeasuredModel:
    """One model: what was measured of it, and of which run it is. `budget`: how the run was told to end."""

    name: str
    regime: str = ""
    budget: str = OTHER
    run: dict[str, Any] = field(default_factory=dict)
    measurement: dict[str, Any] = field(default_factory=dict)

    @property
    def measures(self) -> dict[str, Any]:
        """The measures over all."""
        rows: dict[str, Any] = self.measurement["measures"]
        return rows


def read_models(paths: Sequence[Path]) -> list[MeasuredModel]:
    """The models of some files and folders; answers about the same weights at the same precision are put together.

    Raises PlanError for what holds no measurement.
    """
    found: dict[tuple[str, str, str], MeasuredModel] = {}
    for path in paths:
        run_folder = path if path.is_dir() else path.parent
        for file in _results(path):
            answer = _read(file)
            key = (answer["model_sha256"] or answer["model"], answer["precision"], str(run_folder.resolve()))
            if key in found:
                _join(found[key].measurement, answer)
                continue
            found[key] = MeasuredModel(answer["model"], measurement=answer)
            _describe(found[key], run_folder)
    return list(found.values())


def _results(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    results = [folder / name for folder in (path, path / "measurement") for name in RESULTS]
    there = [one for one in results if one.is_file()]
    if not there:
        message = f"{path} holds neither {RESULTS[0]} nor {RESULTS[1]}: measure the model with --out {path}"
        raise PlanError(message)
    return there


def _read(path: Path) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("model", "model_sha256", "precision", "measures", "by_org", "by_class", "notes"):
            answer[name]
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror})"
        raise PlanError(message) from error
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path} is no measurement: `cleanroom memorization measure --json` prints one"
        raise PlanError(message) from error
    return answer


def _join(one: dict[str, Any], other: dict[str, Any]) -> None:
    one["measures"] |= other["measures"]
    for group in ("by_org", "by_class"):
        for name, rows in other[group].items():
            one[group][name] = one[group].get(name, {}) | rows
    one["notes"] += [note for note in other["notes"] if note not in one["notes"]]


def _describe(model: MeasuredModel, folder: Path) -> None:
    """Regime and budget, where a run folder tells them."""
    for place in (folder, folder.parent):
        try:
            model.run = json.loads((place / "run.json").read_text(encoding="utf-8"))
            plan = tomllib.loads((place / "plan.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        model.name, model.regime = str(model.run.get("name", model.name)), str(model.run.get("regime", ""))
        regime = plan.get("regime", {})
        if model.regime == "federated" and "strategy" in regime:
            model.regime = f"federated ({regime['strategy']})"
        model.budget = LOSS if "validation_loss" in plan.get("budget", {}) else PASSES
        return


def write_report(models: Sequence[MeasuredModel], out: Path, title: str) -> tuple[Path, Path]:
    """Write report.md and report.html, which needs no other file; answers their paths.

    Raises DestinationError when they cannot be written.
    """
    sections = _sections(models)
    lines = [f"# {title}", ""]
    page = [f"<h1>{html.escape(title)}</h1>"]
    for heading, columns, rows, after in sections:
        lines += [f"## {heading}", "", markdown(columns, rows), "", *after, ""]
        page += [
            f"<h2>{html.escape(heading)}</h2>",
            _table(columns, rows),
            *(f"<p>{html.escape(one)}</p>" for one in after),
        ]
    for model in models:
        lines += [f"## {model.name}", "", by_scope(model.measurement), ""]
        page += [f"<h2>{html.escape(model.name)}</h2>", _table(*_own(model))]
    page += ["<h2>Plots</h2>", *pictures(models)]
    lines += ["The plots are in report.html.", ""]
    text = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style>{''.join(page)}</html>\n"
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in (("report.md", "\n".join(lines)), ("report.html", text)):
            draft = out / f".{name}.part"
            draft.write_text(content, encoding="utf-8")
            os.replace(draft, out / name)  # noqa: PTH105 - takes the place of an earlier report in one step
    except OSError as error:
        message = f"{out} cannot be written ({error.strerror}): free space, or name another folder with --out"
        raise DestinationError(message) from error
    return out / "report.md", out / "report.html"


_Section = tuple[str, list[str], list[list[str]], list[str]]


def _sections(models: Sequence[MeasuredModel]) -> list[_Section]:
    """A table a budget: a line a model, and, where a regime was trained several times, its mean."""
    answer = []
    for budget in (PASSES, LOSS, OTHER):
        some = [model for model in models if model.budget == budget]
        if not some:
            continue
        names = shown(model.measures for model in some)
        rows = []
        for model in sorted(some, key=lambda one: (one.regime, one.name)):
            trained = [
                str(model.run[key]) if model.run.get(key) is not None else "-" for key in ("passes", "validation_loss")
            ]
            label = f"{model.name}, {model.regime}" if model.regime else model.name
            rows.append([label, *trained, *(told(name, model.measures.get(name)) for name in names)])
        rows += _means(some, names)
        columns = ["model", "passes", "validation loss", *(MEASURES[name] for name in names)]
        notes = list(dict.fromkeys(f"- {note}" for model in some for note in model.measurement["notes"]))
        heading = {PASSES: "At equal passes", LOSS: "At equal validation loss", OTHER: "Measured"}[budget]
        answer.append(
            (heading, columns, rows, ["95 % limits in brackets; of means, the smallest and the largest.", *notes])
        )
    return answer


def _means(models: Sequence[MeasuredModel], names: Sequence[str]) -> list[list[str]]:
    groups: dict[str, list[MeasuredModel]] = defaultdict(list)
    for model in models:
        groups[model.regime].append(model)
    rows = []
    for regime, some in groups.items():
        if not regime or len(some) < 2:  # noqa: PLR2004 - a mean takes two
            continue
        cells = []
        for name in names:
            values = [model.measures[name]["value"] for model in some if name in model.measures]
            mean = {"value": sum(values) / len(values), "low": min(values), "high": max(values)} if values else None
            cells.append(told(name, mean))
        rows.append([f"mean of {len(some)} runs, {regime}", "", "", *cells])
    return rows


def _own(model: MeasuredModel) -> tuple[list[str], list[list[str]]]:
    one = model.measurement
    scopes = {"all": one["measures"], **one["by_org"], **one["by_class"]}
    names = shown(scopes.values())
    return ["", *scopes], [
        [MEASURES[name], *(told(name, some.get(name)) for some in scopes.values())] for name in names
    ]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def pictures(models: Sequence[MeasuredModel]) -> list[str]:
    """Effectiveness against memorization, and memorization by class of clone, as SVG."""
    drawn = []
    for x, y in PICTURES:
        points = [
            Point(model.name, f"{model.regime or model.name}, {model.budget}", model.measures[x], model.measures[y])
            for model in models
            if x in model.measures and y in model.measures
        ]
        if points:
            drawn.append(scatter(points, MEASURES[x], MEASURES[y], f"{MEASURES[y]} against {MEASURES[x]}"))
    for name in CLASSES:
        rows = {
            model.name: {kind: some[name] for kind, some in model.measurement["by_class"].items() if name in some}
            for model in models
        }
        if any(rows.values()):
            drawn.append(bars(rows, MEASURES[name], f"{MEASURES[name]}, by class of code"))
    return drawn
