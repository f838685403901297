from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from samples.released import key_in
from samples.runs import THRESHOLDS, checkpoint, measure, measurements, run_folder

from registry.errors import ReleaseNotFoundError, RevokedError, UnverifiedError
from registry.releases import Release, Releases
from registry.tree import folder_digest
from registry.weights import weights_digest
from training.errors import MeasurementError, ModelError, RefusedReleaseError, UnsupportedAdapterError
from training.gate import Submission, create
from training.gguf_adapter import write_gguf_adapter

if TYPE_CHECKING:
    from pathlib import Path

    from registry.keys import SigningKey


@dataclass
class Gate:
    """A run to be released, and who releases it."""

    folder: Path
    releases: Releases
    key: SigningKey
    submission: Submission

    def create(self, **changes: object) -> Release:
        self.said: list[str] = []
        submission = replace(self.submission, **changes)
        return create(submission, self.releases, self.key, frozenset({self.key.public}), self.said.append)

    def measured(self, **changes: object) -> list[Path]:
        return [measurements(self.submission.run / "model", self.folder / "other.json", **changes)]

    def asked(self, text: str) -> Path:
        path = self.folder / "other.toml"
        path.write_text(text)
        return path


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    run = run_folder(tmp_path / "run")
    (tmp_path / "thresholds.toml").write_text(THRESHOLDS)
    told = measurements(run / "model", tmp_path / "measured.json")
    submission = Submission(run, "small", tmp_path / "thresholds.toml", [told])
    return Gate(tmp_path, Releases(tmp_path / "home"), key_in(tmp_path), submission)


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


# --- parents


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


# --- adapters


@pytest.fixture
def adapted(gate: Gate) -> Gate:
    base = checkpoint(gate.folder / "machine" / "base")
    run = run_folder(gate.folder / "adapted", base)
    told = measurements(run / "adapter", gate.folder / "measured.json")
    gate.submission = replace(gate.submission, run=run, measurements=[told])
    return gate


def test_an_adapter_is_bound_to_its_base(adapted: Gate) -> None:
    made = adapted.create()
    base = made.manifest.base
    assert base is not None
    assert base.name == "base"
    assert base.weights_sha256 == weights_digest(adapted.folder / "machine" / "base")
    assert sorted(made.manifest.files) == [
        "README.md", "adapter/adapter_config.json", "adapter/adapter_model.safetensors", "base/config.json",
        "base/tokenizer.json", "card.json", "plan.toml", "thresholds.toml",
    ]  # fmt: skip
    assert adapted.said
    assert adapted.said[0].startswith("without adapter.gguf: OtherForCausalLM")


def test_no_path_of_the_machine_is_released(adapted: Gate) -> None:
    made = adapted.create()
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert str(adapted.folder).encode() not in path.read_bytes()


def test_a_base_that_is_not_there_is_asked_for(adapted: Gate) -> None:
    (adapted.folder / "machine").rename(adapted.folder / "moved")
    with pytest.raises(ModelError, match=r"--base|does not exist"):
        adapted.create()
    assert adapted.create(base=adapted.folder / "moved" / "base").manifest.base is not None


def test_an_adapters_own_tokenizer_is_the_one_that_is_released(adapted: Gate) -> None:
    adapter = adapted.submission.run / "adapter"
    (adapter / "tokenizer.json").write_text('{"own":1}')
    made = adapted.create(measurements=[measurements(adapter, adapted.folder / "again.json")])
    assert (made.folder / "base" / "tokenizer.json").read_text() == '{"own":1}'


def test_a_base_without_tokenizer_is_refused(adapted: Gate) -> None:
    (adapted.folder / "machine" / "base" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="tokenizer"):
        adapted.create()


def test_a_compartment_is_released_on_its_own(adapted: Gate) -> None:
    run = adapted.submission.run
    (run / "adapters").mkdir()
    (run / "adapter").rename(run / "adapters" / "org-a")
    with pytest.raises(ModelError, match="--compartment"):
        adapted.create()
    with pytest.raises(ModelError, match="no compartment 'org-b'"):
        adapted.create(compartment="org-b")
    card = adapted.create(compartment="org-a").card()
    assert list(card["organizations"]) == ["org-a"]
    assert card["compartment"] == "org-a"


@pytest.mark.parametrize(
    "change", [{"use_dora": True}, {"peft_type": "IA3"}, {"bias": "all"}, {"alpha_pattern": {"q_proj": 1}}]
)
def test_more_than_plain_lora_is_not_written_as_gguf(adapted: Gate, tmp_path: Path, change: dict[str, Any]) -> None:
    adapter, config = adapted.submission.run / "adapter", tmp_path / "config.json"
    config.write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnsupportedAdapterError, match="plain LoRA"):
        write_gguf_adapter(adapter, config, tmp_path / "out.gguf")
