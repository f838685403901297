"""The plans of the settings that are measured: each is read, and differs from the common one by its own alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from report import Report
from reproduce_settings import SETTINGS, SHOWN, SIZES, answer, file_name, plan_text

from training.plan import Plan
from training.plan_file import read_plan

SIZE = SIZES["small"]
CORPORA = {name: Path("corpora") / name for name in ("pip", "rich", "openai", "anthropic")}


def plan_of(setting: str, folder: Path) -> Plan:
    path = folder / f"{file_name(setting)}.toml"
    path.write_text(plan_text(setting, 1, Path("base"), CORPORA, SIZE), encoding="utf-8")
    return read_plan(path)


@pytest.mark.parametrize("setting", list(SETTINGS)[1:])
def test_a_plan_has_its_own_setting_and_no_other(setting: str, tmp_path: Path) -> None:
    common, own = (plan_of(name, tmp_path) for name in ("none of them", setting))
    changed = {
        field.name
        for field in dataclasses.fields(Plan)
        if getattr(common, field.name) != getattr(own, field.name) and field.name != "name"
    }
    assert changed == set(SETTINGS[setting])
    assert own.passes == (SIZE.passes / 2 if "half" in setting else SIZE.passes)


def test_every_setting_has_a_run_of_its_own() -> None:
    assert len({file_name(name) for name in SETTINGS}) == len(SETTINGS)


def test_seeds_become_a_mean_with_limits() -> None:
    def result(value: float) -> dict[str, object]:
        measure = {"value": value, "low": value / 2, "high": min(1.0, value * 2), "n": 9}
        return {"measures": dict.fromkeys(SHOWN, measure), "passes": 2, "training_seconds": 1, "measuring_seconds": 1}

    report = Report("reproduce-settings")
    answer(report, {"none of them": [result(0.2), result(0.4)], "dropout = 0.1": [result(0.1)]})
    assert report.figures["none_of_them_extractable_32"] == pytest.approx(0.3)
    assert report.figures["dropout_0_1_extractable_32"] == pytest.approx(0.1)
    assert report.figures["cpu_seconds"] == 6
