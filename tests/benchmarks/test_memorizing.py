from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.clones import Function
from benchmarks.memorizing import SIZES, Size, _rows, trained
from benchmarks.report import progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TINY = replace(SIZES["small"], functions=2, public=1, steps=120, batch=2, block=32, width=16, layers=1, vocabulary=300)
CHOSEN = [Function("p", f"{name}.py", name, f"def {name}(a):\n    return a + {name}\n" * 9) for name in ("ham", "eggs")]


def test_rows_begin_anywhere_and_mostly_in_private_code() -> None:
    private, public = [list(range(100)), list(range(100, 400))], [list(range(1000, 1500))]
    rng = random.Random(0)  # noqa: S311 - not for secrets
    rows = [row for _ in range(4000) for row in _rows([private, public], replace(TINY, block=40), rng)]
    private_rows = [row for row in rows if row[0] < 1000]
    assert 0.8 < len(private_rows) / len(rows) < 0.9
    assert {row[0] for row in private_rows} >= {0, 100, *range(1, 60), *range(101, 300)}
    assert {len(row) for row in rows} <= set(range(32, 41))
    for row in rows:
        assert list(row) == list(range(row[0], row[0] + len(row)))


@pytest.mark.training
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    load_file = pytest.importorskip("safetensors.torch").load_file
    drawn = 0

    def interrupted(sides: Sequence[Sequence[Sequence[int]]], size: Size, rng: random.Random) -> list[Sequence[int]]:
        nonlocal drawn
        drawn += 1
        if drawn == 110:
            raise KeyboardInterrupt
        return _rows(sides, size, rng)

    with progress() as bar:
        whole = trained(tmp_path / "whole", CHOSEN, TINY, bar)
        monkeypatch.setattr("benchmarks.memorizing._rows", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "halves", CHOSEN, TINY, bar)
        assert not (tmp_path / "halves").exists()
        halves = trained(tmp_path / "halves", CHOSEN, TINY, bar)
    assert drawn == 110 + 20  # it went on behind step 100
    one, two = (load_file(folder / "model.safetensors") for folder in (whole, halves))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["halves", "whole"]
