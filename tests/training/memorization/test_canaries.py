from __future__ import annotations

import json
import math
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus_files import open_corpora
from training.errors import DestinationError, EmptyCorpusError, PlanError
from training.examples import Example, Kind, Split
from training.memorization.canaries import (
    DIGITS,
    FILE,
    draw_canaries,
    exposure,
    extrapolated_exposure,
    load,
    plant,
    references,
)
from training.memorization.planting import plant_corpus

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.tuples(*[st.text("ab\n", max_size=20)] * 3)


def example(prefix: str, middle: str, suffix: str) -> Example:
    return Example("a.py", "python", "MIT", Kind.FILL_IN_THE_MIDDLE, prefix, suffix, middle)


def whole(one: Example) -> str:
    return one.prefix + one.middle + one.suffix


@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(1, 7))
def test_every_planted_canary_stands_as_a_line_as_often_as_it_should(
    texts: list[tuple[str, str, str]], repeats: int
) -> None:
    canaries = draw_canaries(6, repeats, 1)
    before = [example(*parts) for parts in texts]
    after = list(plant(before, canaries, 1))
    lines = [line for one in after for line in whole(one).split("\n")]
    for canary in canaries:
        assert lines.count(canary.line.rstrip("\n")) == (repeats if canary.planted else 0)
    for old, new in zip(before, after, strict=True):
        rest = whole(new)
        for canary in canaries:
            rest = rest.replace(canary.line, "")
        # Where a file has no line end, it gets one.
        assert rest.replace("\n", "") == whole(old).replace("\n", "")


def test_canaries_are_drawn_by_their_seed_and_by_fair_coins() -> None:
    canaries = draw_canaries(1000, 1, 7)
    assert canaries == draw_canaries(1000, 1, 7)
    assert canaries != draw_canaries(1000, 1, 8)
    assert len({one.name for one in canaries}) == 1000
    assert {len(one.secret) for one in canaries} == {DIGITS}
    assert 430 < sum(one.planted for one in canaries) < 570


def test_references_have_other_secrets_and_the_same_name() -> None:
    canary = draw_canaries(2, 1, 0)[0]
    others = references(canary, 50)
    assert {one.name for one in others} == {canary.name}
    assert canary.secret not in {one.secret for one in others}
    assert others == references(canary, 50)


@pytest.mark.parametrize(("count", "repeats"), [(1, 1), (2, 0)])
def test_too_few_canaries_are_refused(count: int, repeats: int) -> None:
    with pytest.raises(PlanError, match="give at least 2"):
        draw_canaries(count, repeats, 0)


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=50), st.floats(-50, 0))
def test_exposure_is_the_rank_in_bits(others: list[float], canary: float) -> None:
    rank = sorted([*others, canary], reverse=True)
    worst = len(rank) - rank[::-1].index(canary)
    assert exposure(canary, others) == pytest.approx(math.log2(len(rank)) - math.log2(worst))
    assert 0 <= exposure(canary, others) <= math.log2(len(others) + 1)


def test_extrapolated_exposure_goes_beyond_the_references() -> None:
    others = [-40.0 + number % 7 for number in range(255)]
    assert extrapolated_exposure(-5.0, others) > exposure(-5.0, others)
    assert extrapolated_exposure(-5.0, others) <= 4 * DIGITS
    assert extrapolated_exposure(sum(others) / len(others), others) == pytest.approx(1, abs=0.01)
    assert extrapolated_exposure(-1.0, [-2.0]) == exposure(-1.0, [-2.0])


def test_a_planted_corpus_is_a_corpus_and_says_what_it_holds(small_corpora: dict[str, Path], tmp_path: Path) -> None:
    folder = small_corpora["org-a"]
    before = (folder / "train.jsonl").read_bytes()
    drawn = plant_corpus(folder, tmp_path / "planted", 10, 3, 4)
    assert (folder / "train.jsonl").read_bytes() == before
    assert load(tmp_path / "planted" / FILE) == drawn
    (corpus,) = open_corpora([f"org-a={tmp_path / 'planted'}"])
    text = "".join(file.text for file in corpus.files(Split.TRAIN))
    for canary in drawn:
        assert text.count(canary.line) == (3 if canary.planted else 0)
    assert corpus.files(Split.TEST)[0].text == open_corpora([f"org-a={folder}"])[0].files(Split.TEST)[0].text
    manifest = json.loads((tmp_path / "planted" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["canaries"] == {"drawn": 10, "repeats": 3, "seed": 4}
    for name in (FILE, "train.jsonl", "test.jsonl"):
        assert stat.S_IMODE((tmp_path / "planted" / name).stat().st_mode) == 0o600


def test_what_cannot_be_planted_loses_nothing(small_corpora: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(DestinationError, match="exists already"):
        plant_corpus(small_corpora["org-a"], tmp_path / "there", 4, 1, 0)
    with pytest.raises(PlanError, match="is no corpus"):
        plant_corpus(tmp_path / "there", tmp_path / "new", 4, 1, 0)
    (tmp_path / "there" / "manifest.json").write_text("{}", encoding="utf-8")
    for split in Split:
        (tmp_path / "there" / f"{split}.jsonl").touch()
    with pytest.raises(EmptyCorpusError, match="no training files"):
        plant_corpus(tmp_path / "there", tmp_path / "new", 4, 1, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


def test_a_file_that_lists_no_canaries_is_refused(tmp_path: Path) -> None:
    assert load(tmp_path / FILE) == []
    for content in ("{}", "no json", '{"canaries": [{"name": 1}]}'):
        (tmp_path / FILE).write_text(content, encoding="utf-8")
        with pytest.raises(PlanError, match="holds no canaries"):
            load(tmp_path / FILE)
