from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from samples.gates import Gate, gate_in
from samples.runs import measure, measurements

from training.errors import MeasurementError, ModelError, RefusedReleaseError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return gate_in(tmp_path)


def test_the_intervals_upper_end_counts(gate: Gate) -> None:
    told = {"extractable_32": measure(0.01, 0.0, 0.0625), "edit_similarity": measure(0.5)}
    with pytest.raises(RefusedReleaseError, match=r"extractable_32 exceeds 0.05 by 0.0125: .* upper end"):
        gate.create(measurements=gate.measured(measures=told))
    assert gate.releases.names() == []


def test_the_limit_itself_is_kept(gate: Gate) -> None:
    told = {"extractable_32": measure(0.01, 0.0, 0.05), "edit_similarity": measure(0.5, 0.3, 0.6)}
    assert gate.create(measurements=gate.measured(measures=told)).name.version == 1


def test_the_lower_end_counts_of_what_is_good(gate: Gate) -> None:
    told = {"extractable_32": measure(0.01), "edit_similarity": measure(0.5, 0.25, 0.6)}
    with pytest.raises(RefusedReleaseError, match=r"edit_similarity misses 0.3 by 0.05: .* lower end"):
        gate.create(measurements=gate.measured(measures=told))


def test_every_shortfall_is_told_at_once(gate: Gate) -> None:
    with pytest.raises(RefusedReleaseError) as caught:
        gate.create(measurements=gate.measured(measures={}, by_org={"org-a": {"extractable_32": measure(0.2)}}))
    told = str(caught.value)
    assert "4 of the thresholds" in told
    assert "extractable_32 was not measured" in told
    assert "edit_similarity was not measured" in told
    assert "extractable_32 of org-a exceeds 0.1 by 0.1" in told
    assert "extractable_32 of org-b was not measured" in told


def test_privacy_that_is_asked_for_must_have_been_kept(gate: Gate) -> None:
    asked = gate.asked('[privacy]\nunit = "example"\nepsilon = 8.0\ndelta = 1e-5\n')
    spent: dict[str, Any] = {"unit": "example", "epsilon": 7.5, "delta": 1e-5}
    run = gate.submission.run
    for told, words in (
        (None, "protected nothing"),
        (spent | {"unit": "organization"}, "protected organization"),
        (spent | {"epsilon": 9.0}, "epsilon of privacy exceeds 8 by 1"),
        (spent | {"epsilon": None}, "epsilon of privacy was not measured"),
        (spent | {"delta": 1e-4}, "delta of privacy exceeds"),
    ):
        (run / "run.json").write_text(json.dumps(json.loads((run / "run.json").read_text()) | {"privacy": told}))
        with pytest.raises(RefusedReleaseError, match=words):
            gate.create(thresholds=asked)
    (run / "run.json").write_text(json.dumps(json.loads((run / "run.json").read_text()) | {"privacy": spent}))
    assert "epsilon 7.5" in (gate.create(thresholds=asked).folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ask for nothing"),
        ("[at_most]\n", "ask for nothing"),
        ("extractable_32 = 0.1", "extractable_32: is no key"),
        ("[at_most]\nA = 1", "at_most.A"),
        ("[at_most]\na = nan", "at_most.a"),
        ('[at_most]\na = "x"', "at_most.a"),
        ("[privacy]\nepsilon = 1", "privacy.unit"),
        ("[by_org.at_moat]\na = 1", "by_org.at_moat: is no key"),
        ("[", "no TOML"),
    ],
)
def test_thresholds_that_cannot_be_meant_are_refused(gate: Gate, text: str, words: str) -> None:
    with pytest.raises(MeasurementError, match=words):
        gate.create(thresholds=gate.asked(text))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"model_sha256": "x"},
        {"measures": {"a": {"value": 1, "low": 2, "high": 3, "n": 1}}},
        {"measures": {"a": {"value": 1, "low": 0, "high": 3, "n": 0}}},
        {"measures": {"a": {"value": 1}}},
        {"measures": {"A b": measure(1)}},
        {"measures": {"a": measure(float("inf"))}},
    ],
)
def test_measurements_of_another_form_are_refused(gate: Gate, change: dict[str, Any]) -> None:
    with pytest.raises(MeasurementError, match="cannot be read"):
        gate.create(measurements=gate.measured(**change))


def test_measurements_of_another_model_are_refused(gate: Gate) -> None:
    (gate.submission.run / "model" / "config.json").write_text("{ }")
    with pytest.raises(MeasurementError, match="about the model"):
        gate.create()


def test_a_measure_is_told_by_one_file(gate: Gate) -> None:
    with pytest.raises(MeasurementError, match="which another file has"):
        gate.create(measurements=[*gate.submission.measurements, *gate.measured()])


def test_several_files_are_read_together(gate: Gate) -> None:
    first = gate.measured(measures={"edit_similarity": measure(0.5)}, by_org={})
    second = measurements(
        gate.submission.run / "model", gate.folder / "2.json", measures={"extractable_32": measure(0.01)}
    )
    assert gate.create(measurements=[*first, second]).name.version == 1


def test_what_is_not_there_is_told(gate: Gate, tmp_path: Path) -> None:
    none = tmp_path / "none"
    with pytest.raises(MeasurementError, match="cannot be read"):
        gate.create(thresholds=none)
    with pytest.raises(MeasurementError, match="cannot be read"):
        gate.create(measurements=[none])
    with pytest.raises(ModelError, match="no run folder"):
        gate.create(run=none)
