"""The benchmark of settings, whole, at a tiny size."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("flwr", reason="needs the extras training and federation")
pytest.importorskip("peft", reason="needs the extra training")

import reproduce_settings
from beginner import Size as BaseSize
from beginner import split_corpus
from organizations import Amounts
from report import Report, progress
from trial import Measuring

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("default")]
TINY = reproduce_settings.Size(
    Amounts(shared=3_000, own=3_000, validation=2_000, test=2_000),
    BaseSize(width=32, layers=1, vocabulary=300, public=60_000, passes=0.1, block=64),
    passes=1, batch=8, block=64, learning_rate=1e-2,
    measuring=Measuring(samples=4, tokens=16, places=4, files=2, completions=2), seeds=(1,),
)  # fmt: skip


def code(number: int) -> str:
    """A Python file like no other."""
    draw = random.Random(number)  # noqa: S311 - names, not secrets
    lines = []
    for _ in range(12):
        one, two, three = (f"{draw.choice('abcdefgh')}{draw.randrange(10**6)}" for _ in range(3))
        lines += [
            f"def {one}({two}):",
            f"    {three} = {two} + {draw.randrange(10**6)}",
            f"    return {three}.{two}",
            "",
        ]
    return "\n".join(lines)


@pytest.fixture
def built(tmp_path: Path) -> dict[str, Path]:
    folders = {}
    for turn, name in enumerate(("one", "two")):
        tree = tmp_path / "trees" / name
        tree.mkdir(parents=True)
        for number in range(40):
            (tree / f"m{number}.py").write_text(code(1000 * turn + number), encoding="utf-8")
        folders[name] = tmp_path / "corpora" / name
        split_corpus(tree, folders[name])
    return folders


def test_each_setting_is_trained_and_measured(
    built: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = ("none of them", "rename_identifiers = 1.0", "incremental, as listed")
    monkeypatch.setattr(reproduce_settings, "SETTINGS", {name: reproduce_settings.SETTINGS[name] for name in some})
    with progress() as bar:
        results = reproduce_settings.made_again(tmp_path, built, TINY, (1,), 1, bar)
    report = Report("reproduce-settings")
    reproduce_settings.answer(report, results)
    figures = json.loads(report.line())["figures"]
    assert {f"{reproduce_settings.file_name(name).replace('-', '_').lower()}_extractable_32" for name in some} <= set(
        figures
    )
    losses = {name: one[0]["measures"]["training_loss"]["value"] for name, one in results.items()}
    assert len(set(losses.values())) == 3, "a setting was not trained with"
    (table,) = report.tables
    assert table.row_count == 3
