from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from samples.gates import Gate, gate_in

from registry.errors import ReleaseNotFoundError, RevokedError, UnverifiedError
from registry.tree import folder_digest
from training.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return gate_in(tmp_path)


def test_a_model_that_keeps_to_the_thresholds_is_released(gate: Gate) -> None:
    made = gate.create()
    found = gate.releases.verify(made.name, {gate.key.public})
    assert sorted(found.manifest.files) == [
        "README.md", "card.json", "model/config.json", "model/model.safetensors", "model/tokenizer.json", "plan.toml",
        "thresholds.toml",
    ]  # fmt: skip
    card = found.card()
    assert card["organizations"]["org-a"]["corpus_sha256"] == "a" * 64
    assert card["measured_sha256"] == folder_digest(gate.submission.run / "model")
    assert card["measures"]["extractable_32"]["high"] == 0.03
    assert card["thresholds"]["at_most"] == {"extractable_32": 0.05}
    assert card["code_version"] == "cleanroom 0.1.0"
    readme = (found.folder / "README.md").read_text()
    assert "| extractable_32 | org-a | 0.02 | 0 to 0.05 | 1000 | at most 0.1 |" in readme
    assert "not differentially private" in readme


@pytest.mark.parametrize("change", [{"ended": None}, {"orgs": {}}, {"name": 1}])
def test_a_run_that_has_not_ended_is_not_released(gate: Gate, change: dict[str, Any]) -> None:
    path = gate.submission.run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError):
        gate.create()


@pytest.mark.parametrize("name", ["training_args.bin", "optimizer.pt", "model.pkl", "run.py"])
def test_formats_that_run_code_are_refused(gate: Gate, name: str) -> None:
    (gate.submission.run / "model" / name).write_bytes(b"")
    with pytest.raises(ModelError, match="remove it"):
        gate.create(measurements=gate.measured())
    assert gate.releases.versions("small") == []
    assert list((gate.folder / "home" / "releases" / "small").iterdir()) == []


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_model_lacks_nothing(gate: Gate, name: str) -> None:
    (gate.submission.run / "model" / name).unlink()
    with pytest.raises(ModelError):
        gate.create(measurements=gate.measured())


def test_a_link_in_a_run_is_not_followed(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (gate.submission.run / "model" / "more.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(UnverifiedError, match="no plain file"):
        gate.create()


def test_a_parent_is_linked_by_its_digest(gate: Gate) -> None:
    first = gate.create()
    second = gate.create(parent="small")
    assert second.manifest.parent is not None
    assert (second.manifest.parent.release, second.manifest.parent.manifest_sha256) == ("small@1", first.digest)
    assert second.card()["parent"] == "small@1"


def test_a_parent_must_stand(gate: Gate) -> None:
    with pytest.raises(ReleaseNotFoundError):
        gate.create(parent="other")
    first = gate.create()
    gate.releases.revocations.add(gate.key, str(first.name), first.digest, "recites")
    with pytest.raises(RevokedError):
        gate.create(parent="small@1")
