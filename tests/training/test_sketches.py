from __future__ import annotations

import json
import random
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.secret import IndexKey
from training.cli import app
from training.corpora import CorpusPlan, build
from training.corpus_files import open_corpora
from training.errors import PlanError
from training.sketches import KEPT, Sketch, open_sketches, overlaps, save, sketched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY, OTHER_KEY = IndexKey(bytes(range(32))), IndexKey(bytes(range(1, 33)))
EMPTY = ""


@pytest.fixture
def sketch(code: Callable[..., str], tmp_path: Path) -> Callable[..., Sketch]:
    """Sketches an organization whose files are those of these numbers; `change` is done to each text."""

    def made(
        name: str, numbers: range, key: IndexKey = KEY, change: Callable[[str], str] = lambda text: text
    ) -> Sketch:
        tree = tmp_path / "trees" / name
        tree.mkdir(parents=True)
        for number in numbers:
            (tree / f"module{number}.py").write_text(change(code(number)), encoding="utf-8")
        build(CorpusPlan((tree,), tmp_path / name))
        (corpus,) = open_corpora([f"{name}={tmp_path / name}"])
        return sketched(corpus, key)

    return made


def test_what_two_hold_is_counted_from_either_side(sketch: Callable[..., Sketch]) -> None:
    acme, globex = sketch("acme", range(20)), sketch("globex", range(15, 25))
    mine, theirs = overlaps({"acme": acme, "globex": globex})
    assert mine.functions is not None
    assert theirs.functions is not None
    assert mine.runs is not None
    # Five files of six functions are in both.
    assert (mine.functions.count, theirs.functions.count) == (30, 30)
    assert mine.functions.share == pytest.approx(30 / acme.functions)
    assert theirs.functions.share == pytest.approx(30 / globex.functions)
    assert mine.runs.share == pytest.approx(0.25)


def test_functions_of_another_layout_count_and_others_do_not(sketch: Callable[..., Sketch]) -> None:
    acme = sketch("acme", range(10))
    indented = sketch("globex", range(10), change=lambda text: text.replace("    ", "  "))
    stranger = sketch("initech", range(100, 110))
    one, _, other, *_ = overlaps({"acme": acme, "globex": indented, "initech": stranger})
    assert one.functions is not None
    assert one.functions.share == 1
    assert other.functions is not None
    assert other.runs is not None
    assert (other.functions.count, other.runs.count) == (0, 0)


def test_a_sketch_holds_no_word_of_the_code(sketch: Callable[..., Sketch], code: Callable[..., str]) -> None:
    text = sketch("acme", range(12)).model_dump_json()
    words = {word for number in range(12) for word in code(number).split() if len(word) > 4}
    assert len(words) > 100
    assert not [word for word in words if word in text]
    assert "module" not in text


def test_the_key_decides_every_value(sketch: Callable[..., Sketch]) -> None:
    one, other = sketch("acme", range(12)), sketch("globex", range(12), key=OTHER_KEY)
    assert not set(one.minima) & set(other.minima)
    assert one.key != other.key
    assert one.signatures != other.signatures


@settings(max_examples=25, deadline=None)
@given(
    both=st.integers(0, 30_000), mine=st.integers(0, 30_000), theirs=st.integers(0, 30_000), seed=st.integers(0, 2**32)
)
def test_limits_hold_the_true_share_or_nearly(both: int, mine: int, theirs: int, seed: int) -> None:
    """Of sets that share `both` values; the limits are 95 %, so that a tenth more than them must do always."""
    values = random.Random(seed).sample(range(2**40), both + mine + theirs)  # noqa: S311 - no secret
    first, second = values[: both + mine], [*values[:both], *values[both + mine :]]

    def of(runs: list[int]) -> Sketch:
        scaled = sorted(value << 24 for value in runs)
        return Sketch(key="0" * 32, runs=len(runs), minima=scaled[:KEPT], functions=0, signatures=EMPTY)

    one, other = overlaps({"a": of(first), "b": of(second)})
    assert one.functions is None
    for found, size in ((one, len(first)), (other, len(second))):
        if not size:
            assert found.runs is None
            continue
        assert found.runs is not None
        assert 0 <= found.runs.low <= found.runs.share <= found.runs.high <= 1
        reach = max(found.runs.high - found.runs.low, 0.01)
        assert found.runs.low - 2 * reach <= both / size <= found.runs.high + 2 * reach
        if max(len(first), len(second)) <= KEPT:
            assert found.runs.count == both


def test_what_cannot_be_compared_is_refused(sketch: Callable[..., Sketch], tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.sketch" for name in ("acme", "globex", "cut")}
    save(sketch("acme", range(12)), paths["acme"])
    save(sketch("globex", range(12), key=OTHER_KEY), paths["globex"])
    paths["cut"].write_text(paths["acme"].read_text()[:200])
    with pytest.raises(PlanError, match="under two keys"):
        open_sketches([f"{name}={paths[name]}" for name in ("acme", "globex")])
    with pytest.raises(PlanError, match="nothing to compare"):
        open_sketches([f"acme={paths['acme']}"])
    with pytest.raises(PlanError, match="is no sketch"):
        open_sketches([f"acme={paths['acme']}", f"cut={paths['cut']}"])
    with pytest.raises(PlanError, match="not of the form"):
        open_sketches(["acme"])
    with pytest.raises(PlanError, match="named twice"):
        open_sketches([f"acme={paths['acme']}"] * 2)
    with pytest.raises(PlanError, match="cannot be read"):
        open_sketches([f"acme={tmp_path / 'none'}"])
    fields = json.loads(paths["acme"].read_text())
    paths["cut"].write_text(json.dumps({**fields, "functions": fields["functions"] + 1}))
    with pytest.raises(PlanError, match="is not whole"):
        open_sketches([f"acme={paths['acme']}", f"cut={paths['cut']}"])


def test_the_commands(code: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "consortium.key"
    run(["key", str(key)])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    for name, numbers in (("acme", range(20)), ("globex", range(10, 30))):
        tree = tmp_path / "trees" / name
        tree.mkdir(parents=True)
        for number in numbers:
            (tree / f"module{number}.py").write_text(code(number), encoding="utf-8")
        run(["build", str(tree), "--out", str(tmp_path / name)])
        run(["sketch", str(tmp_path / name), "--key", str(key), "--out", str(tmp_path / f"{name}.sketch")])
    capsys.readouterr()
    arguments = [f"{name}={tmp_path / name}.sketch" for name in ("acme", "globex")]
    run(["overlap", *arguments])
    table = capsys.readouterr().out
    assert "held by" in table
    assert "60 (50.0 %)" in table
    run(["overlap", *arguments, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["pairs"][0]["functions"]["share"] == 0.5
    assert answer["organizations"]["acme"]["functions"] == 120


def test_a_missing_key_and_one_that_is_there_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "consortium.key"
    with pytest.raises(SystemExit):
        run(["sketch", str(tmp_path), "--key", str(key), "--out", str(tmp_path / "x.sketch")])
    assert "is not there" in capsys.readouterr().err
    run(["key", str(key)])
    with pytest.raises(SystemExit):
        run(["key", str(key)])
    assert "is there already" in capsys.readouterr().err


def run(arguments: list[str]) -> None:
    app(["corpus", *arguments], standalone_mode=False)
