from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from training.corpus_files import open_corpora
from training.errors import DestinationError, EmptyCorpusError, PlanError
from training.examples import Split

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.training

from training.evaluation import EvaluationPlan, completions, next_lines  # noqa: E402 - need torch
from training.measured_model import open_subject  # noqa: E402
from training.memorization.journal import Journal  # noqa: E402
from training.memorization.measurement import Measurement  # noqa: E402
from training.memorization.measuring import MeasuringPlan, measure  # noqa: E402
from training.memorization.reciting import Row, Scheme  # noqa: E402
from training.memorization.sampling import Generation, SamplingPlan  # noqa: E402

JsonObject = dict[str, Any]
PLAN = MeasuringPlan(
    SamplingPlan(48, tokens=160, scheme=Scheme(temperature=0.1)), places=40, files=20, references=31, guard=False
)


def named(folders: dict[str, Path]) -> list[Any]:
    return open_corpora([f"{name}={folder}" for name, folder in folders.items()])


@pytest.fixture(scope="session")
def recited(
    reciting_model: Path, planted_corpora: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> JsonObject:
    subject = open_subject(str(reciting_model), None, "float32")
    plan = replace(PLAN, guard=True)
    return measure(subject, named(planted_corpora), plan, tmp_path_factory.mktemp("recited")).to_json()


@pytest.fixture(scope="session")
def unlearnt(
    random_model: Path, planted_corpora: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> JsonObject:
    subject = open_subject(str(random_model), None, "float32")
    return measure(subject, named(planted_corpora), PLAN, tmp_path_factory.mktemp("unlearnt")).to_json()


def value(measurement: JsonObject, name: str) -> float:
    return float(measurement["measures"][name]["value"])


def test_what_is_known_by_heart_is_extractable_and_what_is_not_is_not(
    recited: JsonObject, unlearnt: JsonObject
) -> None:
    assert value(recited, "extractable_64") > 0.9
    assert value(recited, "extractable_32") > 0.75  # the two organizations share files, which canaries make differ
    assert value(recited, "discoverable_32_n10000_p50") >= value(recited, "discoverable_32_n1_p50")
    for name in ("extractable_16", "extractable_32", "extractable_64", "discoverable_32_n10000_p50"):
        assert value(unlearnt, name) == 0


def test_lines_are_recited_in_clones_and_matches(recited: JsonObject, unlearnt: JsonObject) -> None:
    assert value(recited, "clone_ratio") > 0.3
    assert value(recited, "guard_ratio") > 0.3
    assert value(unlearnt, "clone_generations") == 0  # of so few whole lines that there may be no ratio
    kinds = sum(value(recited, f"guard_{kind}_ratio") for kind in ("exact", "renamed", "near"))
    assert kinds == pytest.approx(value(recited, "guard_ratio"), abs=1e-5)


@pytest.mark.parametrize(
    ("prompt", "text", "ended", "whole"),
    [
        ("def f(x):", "\n    return x\n\ny = 1", False, "    return x\n\n"),
        ("def f(x):", "\n    return x\ny = 1", True, "    return x\ny = 1"),
        ("x = 1", " + 2\ny = 1\n", False, "y = 1\n"),
        ("x = 1", " + 2", False, ""),
        ("x = 1", " + 2", True, ""),
        ("", "x = 1\ny", False, "x = 1\n"),
        ("", "x = 1", True, "x = 1"),
    ],
)
def test_only_lines_that_the_model_wrote_whole_count(prompt: str, text: str, ended: bool, whole: str) -> None:  # noqa: FBT001 - a parameter
    assert Generation("org", "a.py", "python", prompt, text, ended).whole_lines == whole


def test_a_prompt_ends_where_the_tokenizer_cuts(reciting_model: Path, planted_corpora: dict[str, Path]) -> None:
    """Behind a line break of its own, which it has never read before indentation, a model tells nothing."""
    reciter = open_subject(str(reciting_model), None, "float32").reciter
    (corpus, *_) = named(planted_corpora)
    text = corpus.files(Split.TRAIN)[0].text
    start = next(at + 1 for at, sign in enumerate(text) if sign == "\n" and text[at + 1 : at + 3] == "  ")
    whole = reciter.encode(text)
    prompt = reciter.opened(text[:start])
    assert prompt == whole[: len(prompt)]
    assert reciter.encode(text[:start]) != whole[: len(prompt) + 1], "this tokenizer has no such token"


def test_lines_that_are_known_by_heart_are_completed(
    reciting_model: Path, planted_corpora: dict[str, Path], tmp_path: Path
) -> None:
    reciter = open_subject(str(reciting_model), None, "float32").reciter
    (corpus, *_) = named(planted_corpora)
    measurement = Measurement("recites", "", "float32")
    gaps = next_lines(reciter, corpus.files(Split.TRAIN), EvaluationPlan(completions=40))
    completions(measurement, "next_line", reciter, gaps, Journal(tmp_path / "lines.jsonl", {}))
    assert measurement.measures.rows["next_line_exact_match"]["value"] > 0.6
    assert measurement.measures.rows["edit_similarity"]["value"] > 0.8


def test_classes_add_up_and_shared_code_is_told(recited: JsonObject) -> None:
    by_class = recited["by_class"]
    assert set(by_class) == {"unique", "shared", "vendored"}
    total = sum(rows["clone_ratio"]["value"] for rows in by_class.values())
    assert total == pytest.approx(value(recited, "clone_ratio"), abs=1e-5)
    assert by_class["shared"]["clone_ratio"]["value"] > 0
    assert set(recited["by_org"]) == {"org-a", "org-b"}


def test_planted_canaries_are_exposed_and_absent_ones_are_not(recited: JsonObject, unlearnt: JsonObject) -> None:
    assert value(recited, "canary_exposure") > value(recited, "canary_exposure_absent") + 2
    assert value(recited, "canary_auc") > 0.9
    assert value(recited, "audit_epsilon") > 0.5
    row = unlearnt["measures"]["canary_auc"]
    assert row["low"] < 0.9
    assert value(unlearnt, "canary_exposure") < 4


def test_training_files_are_told_from_test_files(recited: JsonObject) -> None:
    assert value(recited, "mia_auc") > 0.95
    assert value(recited, "mia_tpr_1_loss") > 0.5
    assert any("8 test files" in note for note in recited["notes"])


def test_every_measure_has_limits_around_it_and_a_count(recited: JsonObject) -> None:
    for row in recited["measures"].values():
        assert row["low"] <= row["value"] <= row["high"]
        assert row["n"] >= 1
    assert json.loads(json.dumps(recited, allow_nan=False)) == recited
    assert len(recited["model_sha256"]) == 64
    assert recited["precision"] == "float32"


def test_an_interrupted_run_goes_on_and_finds_the_same(
    reciting_model: Path, planted_corpora: dict[str, Path], tmp_path: Path, recited: JsonObject
) -> None:
    subject, corpora = open_subject(str(reciting_model), None, "float32"), named(planted_corpora)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "places" and done * 2 > total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(subject, corpora, PLAN, tmp_path, stop)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(kept) == {"generations.jsonl", "places.jsonl"}
    stages = []
    found = measure(subject, corpora, PLAN, tmp_path, lambda stage, *_: stages.append(stage)).to_json()
    assert "samples" not in stages
    for name, content in kept.items():
        assert (tmp_path / name).read_bytes().startswith(content)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    for name in ("clone_ratio", "extractable_32", "canary_exposure"):
        assert found["measures"][name] == recited["measures"][name]
    other = replace(PLAN, sampling=replace(PLAN.sampling, seed=1))
    with pytest.raises(DestinationError, match=r"differs in .*seed"):
        measure(subject, corpora, other, tmp_path)


def test_greedy_recall_is_what_greedy_decoding_writes(reciting_model: Path, planted_corpora: dict[str, Path]) -> None:
    reciter = open_subject(str(reciting_model), None, "float32").reciter
    known, unknown = (named(planted_corpora)[0].files(split)[0].text for split in (Split.TRAIN, Split.TEST))
    tokens = reciter.encode(known + unknown)
    starts = range(64, len(tokens) - 12, 17)
    rows = [Row(tuple(tokens[start - 32 : start]), tuple(tokens[start : start + 12])) for start in starts]
    written = reciter.write([row.before for row in rows], 12, None, 0)
    judged = list(reciter.judge(rows))
    assert [one.greedy for one in judged] == [
        tuple(text) == row.tokens for text, row in zip(written, rows, strict=True)
    ]
    assert {one.greedy for one in judged} == {True, False}


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(0.7, 5), Scheme(1.3, 0, 0.6), Scheme(0.9, 20, 0.8)])
def test_probabilities_under_a_scheme_are_those_that_transformers_draws_by(random_model: Path, scheme: Scheme) -> None:
    reciter = open_subject(str(random_model), None, "float32").reciter
    model = reciter._model
    row = Row((5, 6, 7), (8, 9))
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[5, 6, 7, 8]])).logits[0, 2:4]
    warpers = [transformers.TemperatureLogitsWarper(scheme.temperature)]
    warpers += [transformers.TopKLogitsWarper(scheme.top_k)] if scheme.top_k else []
    warpers += [transformers.TopPLogitsWarper(scheme.top_p)] if scheme.top_p < 1 else []
    for warper in warpers:
        logits = warper(None, logits)
    expected = logits.log_softmax(1)[[0, 1], [8, 9]].sum().item()
    (judged,) = reciter.judge([row], scheme)
    assert judged.drawn == pytest.approx(expected, abs=1e-4) or judged.drawn == expected == -np.inf


def test_batches_do_not_change_what_is_judged(reciting_model: Path) -> None:
    reciter = open_subject(str(reciting_model), None, "float32").reciter
    rows = [Row(tuple(range(5, 5 + length)), (1, 2, 3)) for length in range(1, 90, 7)]
    together, apart = list(reciter.judge(rows)), [next(iter(reciter.judge([row]))) for row in rows]
    for one, other in zip(together, apart, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_the_first_token_of_a_text_is_not_judged_without_an_opening(random_model: Path) -> None:
    reciter = open_subject(str(random_model), None, "float32").reciter
    (judged,) = reciter.judge([Row((), (5, 6, 7))])
    assert len(judged.logprobs) == 2


def test_a_lower_precision_is_measured_as_it_is(random_model: Path) -> None:
    subject = open_subject(str(random_model), None, "bfloat16")
    assert subject.reciter.precision == "bfloat16"
    assert len(list(subject.reciter.judge([Row((5,), (6, 7))]))) == 1


@pytest.mark.parametrize(
    ("base", "precision", "complaint"), [(None, "int4", "'int4' is unknown"), ("packaged", "float32", "is no adapter")]
)
def test_what_cannot_be_opened_so_is_refused(
    random_model: Path, base: str | None, precision: str, complaint: str
) -> None:
    with pytest.raises(PlanError, match=complaint):
        open_subject(str(random_model), base, precision)


def test_an_adapter_is_measured_on_the_base_it_is_given(random_model: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = transformers.AutoModelForCausalLM.from_pretrained(random_model)
    config = peft.LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    adapted = peft.get_peft_model(model, config)
    adapted.save_pretrained(tmp_path)
    expected = adapted.merge_and_unload()(input_ids=torch.tensor([[5, 6]])).logits[0, 0].log_softmax(0)[6].item()
    (judged,) = open_subject(str(tmp_path), str(random_model), "float32").reciter.judge([Row((5,), (6,))])
    assert judged.logprobs[0] == pytest.approx(expected, abs=1e-4)


def test_an_organization_without_training_files_is_refused(
    random_model: Path, small_corpora: dict[str, Path], tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "manifest.json").write_text("{}", encoding="utf-8")
    for split in ("train", "validation", "test"):
        (empty / f"{split}.jsonl").touch()
    corpora = named({**small_corpora, "org-c": empty})
    with pytest.raises(EmptyCorpusError, match="org-c has no training files"):
        measure(open_subject(str(random_model), None, "float32"), corpora, PLAN, tmp_path / "out")
    assert not (tmp_path / "out").exists()
