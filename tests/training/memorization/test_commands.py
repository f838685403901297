from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from training.cli_memorization import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line: exit code, output, complaint."""

    def invoke(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            app([str(word) for word in words], standalone_mode=False)
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return invoke


def test_canaries_are_planted_from_the_command_line(run: Run, small_corpora: dict[str, Path], tmp_path: Path) -> None:
    arguments = ("memorization", "plant", small_corpora["org-a"], "--out", tmp_path / "planted", "--canaries", 8)
    code, out, _ = run(*arguments)
    assert code == 0
    assert "of 8 canaries planted" in out
    code, _, complaint = run(*arguments)
    assert code == 1
    assert "exists already" in complaint


@pytest.mark.parametrize("words", [("memorization", "measure"), ("evaluate",)])
def test_what_is_no_corpus_is_told_before_a_model_is_loaded(run: Run, words: tuple[str, ...]) -> None:
    code, _, complaint = run(*words, "no-such-model", "--corpus", "acme")
    assert code == 1
    assert "'acme' is not of the form ORG=FOLDER" in complaint


@pytest.mark.training
def test_a_model_is_measured_evaluated_and_reported(
    run: Run, random_model: Path, small_corpora: dict[str, Path], tmp_path: Path
) -> None:
    corpora = [word for name, folder in small_corpora.items() for word in ("--corpus", f"{name}={folder}")]
    out = tmp_path / "measured"
    code, answer, complaint = run(
        "memorization", "measure", random_model, *corpora, "--samples", 4, "--tokens", 16, "--places", 4, "--files", 4,
        "--no-guard", "--out", out, "--json",
    )  # fmt: skip
    assert code == 0, complaint
    assert json.loads(answer) == json.loads((out / "measurement.json").read_text(encoding="utf-8"))
    assert any("no canaries" in note for note in json.loads(answer)["notes"])
    problem = {"task_id": "S/HumanEval/0/L0", "prompt": "def f(a):\n", "suffix": "\n", "canonical_solution": "    a\n"}
    (tmp_path / "problems.jsonl").write_text(json.dumps(problem) + "\n", encoding="utf-8")
    code, answer, complaint = run(
        "evaluate", random_model, *corpora, "--files", 4, "--completions", 3,
        "--infilling", tmp_path / "problems.jsonl", "--out", out, "--json",
    )  # fmt: skip
    assert code == 0, complaint
    evaluated = json.loads(answer)
    wanted = {
        "held_out_loss", "next_line_exact_match", "edit_similarity", "middle_exact_match", "middle_edit_similarity",
        "humaneval_infilling_exact_match", "humaneval_infilling_edit_similarity",
    }  # fmt: skip
    assert set(evaluated["measures"]) == wanted
    assert evaluated["measures"]["held_out_loss"]["value"] > 4
    assert set(evaluated["by_org"]) == {"org-a", "org-b"}
    code, answer, complaint = run("memorization", "report", out, "--out", tmp_path / "report")
    assert code == 0, complaint
    assert "extractable after 32 tokens" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")


@pytest.mark.training
def test_the_models_own_folder_is_not_written_to(run: Run, random_model: Path, small_corpora: dict[str, Path]) -> None:
    before = sorted(path.name for path in random_model.iterdir())
    corpus = f"org-a={small_corpora['org-a']}"
    code, _, complaint = run("evaluate", random_model, "--corpus", corpus, "--out", random_model)
    assert code == 1
    assert "holds the model's weights" in complaint
    assert sorted(path.name for path in random_model.iterdir()) == before


@pytest.mark.training
def test_what_is_no_model_is_told(run: Run, small_corpora: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, complaint = run("evaluate", tmp_path / "empty", "--corpus", f"org-a={small_corpora['org-a']}")
    assert code == 1
    assert complaint.startswith("error: ")
