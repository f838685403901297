from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from training.errors import PlanError
from training.memorization.intervals import Estimate
from training.memorization.measurement import Measurement, folder_digest, weights_folder
from training.report_tables import summary, told

if TYPE_CHECKING:
    from pathlib import Path


def measurement(name: str, ratio: float, *, evaluated: bool = False) -> dict[str, Any]:
    answer = Measurement(name, "0" * 64, "float32")
    if evaluated:
        answer.measures.add("held_out_loss", Estimate(2.0 + ratio, 1.9, 2.9, 100), unit="nats a token")
        answer.measures.add("edit_similarity", Estimate(0.5, 0.4, 0.6, 50))
    else:
        answer.measures.add("clone_ratio", Estimate(ratio, ratio / 2, min(1.0, 2 * ratio), 1000))
        answer.measures.add("extractable_32", Estimate(ratio, ratio / 2, min(1.0, 2 * ratio), 100))
        answer.of("org-a", None).add("clone_ratio", Estimate(ratio, 0.0, 1.0, 1000))
        answer.of(None, "shared").add("clone_ratio", Estimate(ratio, 0.0, 1.0, 1000))
    answer.notes.append("a | note")
    return answer.to_json()


def run_folder(folder: Path, name: str, ratio: float, budget: str) -> Path:
    folder.mkdir()
    run = {"name": name, "regime": "federated", "passes": 3, "validation_loss": 1.9}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    plan = f'[regime]\nkind = "federated"\nstrategy = "fedavg"\n[budget]\n{budget}\n'
    (folder / "plan.toml").write_text(plan, encoding="utf-8")
    (folder / "measurement.json").write_text(json.dumps(measurement("model", ratio)), encoding="utf-8")
    evaluation = measurement("model", ratio, evaluated=True)
    (folder / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    return folder


def test_a_measure_that_is_no_number_is_left_out() -> None:
    answer = Measurement("m", "", "float32")
    answer.measures.add("canary_auc", Estimate(float("nan"), 0.0, 1.0, 3))
    answer.measures.add("mia_auc", None)
    assert answer.to_json()["measures"] == {}


def test_a_summary_has_a_column_for_all_organizations_and_classes() -> None:
    text = summary(measurement("model-1", 0.0635))
    assert "|  | all | org-a | shared |" in text
    assert "| lines in six-line clones | 6.35 % (3.17 to 12.70) |" in text
    assert "- a | note" in text


def test_what_was_not_measured_is_a_dash() -> None:
    assert told("clone_ratio", None) == "-"
    assert told("mia_auc", {"value": 0.75, "low": 0.75, "high": 0.75}) == "0.750"


def test_the_digest_of_a_model_is_that_of_its_weights(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    before = folder_digest(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("words", encoding="utf-8")
    assert folder_digest(tmp_path / "model") == before
    assert weights_folder(tmp_path) == tmp_path
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    assert weights_folder(tmp_path) == tmp_path / "model"
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other weights")
    assert folder_digest(tmp_path / "model") != before
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlanError, match="holds no model"):
        folder_digest(tmp_path / "empty")


@pytest.mark.training
def test_a_report_sets_runs_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from training.report import read_models, write_report  # noqa: PLC0415 - needs matplotlib

    folders = [
        run_folder(tmp_path / "one", "first", 0.1, "passes = 3"),
        run_folder(tmp_path / "two", "second", 0.3, "passes = 3"),
        run_folder(tmp_path / "three", "third <b>", 0.2, "passes = 9\nvalidation_loss = 1.9"),
    ]
    markdown, page = write_report(read_models(folders), tmp_path / "report", "A & B")
    text = markdown.read_text(encoding="utf-8")
    passes, loss = text.index("## At equal passes"), text.index("## At equal validation loss")
    assert passes < text.index("first, federated (fedavg)") < loss < text.index("third <b>, federated")
    assert "mean of 2 runs, federated (fedavg) |  |  | 2.200 (2.100 to 2.300)" in text
    html = page.read_text(encoding="utf-8")
    assert "<h1>A &amp; B</h1>" in html
    assert "third <b>" not in html
    pictures = [part.partition("</svg>")[0] + "</svg>" for part in html.split("<svg")[1:]]
    assert len(pictures) == 5
    for picture in pictures:
        ET.fromstring("<svg" + picture)  # noqa: S314 - our own
    assert "http-equiv" not in html
    assert "src=" not in html


@pytest.mark.training
def test_equal_measurements_give_equal_reports(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from training.report import read_models, write_report  # noqa: PLC0415 - needs matplotlib

    models = read_models([run_folder(tmp_path / "one", "first", 0.1, "passes = 3")])
    one, other = (write_report(models, tmp_path / name, "T")[1].read_bytes() for name in ("a", "b"))
    assert one == other


@pytest.mark.training
def test_what_is_no_measurement_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from training.report import read_models  # noqa: PLC0415 - needs matplotlib

    with pytest.raises(PlanError, match=r"holds neither measurement\.json nor evaluation\.json"):
        read_models([tmp_path])
    (tmp_path / "measurement.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PlanError, match="is no measurement"):
        read_models([tmp_path])
