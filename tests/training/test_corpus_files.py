from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training.corpora import CorpusPlan, build
from training.corpus_files import open_corpora
from training.errors import PlanError
from training.examples import Split

if TYPE_CHECKING:
    from pathlib import Path


def test_files_come_back_as_they_were(tree: Path, tmp_path: Path) -> None:
    build(CorpusPlan((tree,), tmp_path / "corpus", fim_rate=0.5))
    (corpus,) = open_corpora([f"acme={tmp_path / 'corpus'}"])
    files = [file for split in Split for file in corpus.files(split)]
    assert len(files) == 60
    for file in files:
        assert file.text == (tree.parent / file.path).read_text(encoding="utf-8")
        assert (file.organization, file.language) == ("acme", "python")


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ([], "no corpus is named"),
        (["acme"], "not of the form ORG=FOLDER"),
        (["=folder"], "not of the form ORG=FOLDER"),
        (["acme=/nowhere"], "is no corpus"),
    ],
)
def test_what_names_no_corpus_is_refused(named: list[str], complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        open_corpora(named)


def test_an_organization_has_one_corpus(tree: Path, tmp_path: Path) -> None:
    build(CorpusPlan((tree,), tmp_path / "corpus"))
    with pytest.raises(PlanError, match="'acme' is named twice"):
        open_corpora([f"acme={tmp_path / 'corpus'}"] * 2)


def test_a_broken_line_is_told_by_its_place(tree: Path, tmp_path: Path) -> None:
    build(CorpusPlan((tree,), tmp_path / "corpus"))
    (tmp_path / "corpus" / "test.jsonl").write_text('{"path": "a.py"}\n', encoding="utf-8")
    (corpus,) = open_corpora([f"acme={tmp_path / 'corpus'}"])
    with pytest.raises(PlanError, match=r"test\.jsonl:1 is no training example"):
        corpus.files(Split.TEST)
