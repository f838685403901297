from __future__ import annotations

import json
import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("flwr", reason="needs the extras training and federation")
pytest.importorskip("peft", reason="needs the extra training")

import reproduce_privacy
from arms import LOSS, PASSES, Training, arms, plan_text
from beginner import Size as BaseSize
from organizations import Amounts, build_corpora
from report import Report, progress
from reproduce import Size, finished, made_again
from reproduction_tables import PAPER, across, answer, tables, write
from trial import RESULT, Measuring, Trial, all_made

from training.corpus_files import open_corpora
from training.errors import PlanError
from training.examples import Split
from training.memorization.clones import CloneClass, CloneIndex, lines_of
from training.plan_file import read_plan

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.training
AMOUNTS = Amounts(shared=3_000, own=3_000, validation=2_000, test=2_000)
TINY = Size(
    AMOUNTS,
    BaseSize(width=32, layers=1, vocabulary=300, public=60_000, passes=0.1, block=64),
    Training(passes=2, rounds=1, learning_rate=1e-2, batch=8, block=64, server_rate=1e-2, longer=2, rank=4),
    Measuring(samples=32, tokens=24, places=4, files=4, completions=2),
    seeds=(1,),
)


def module(number: int) -> str:
    """A Python file like no other, of about 1,500 characters."""
    draw = random.Random(number)  # noqa: S311 - names, not secrets
    lines = []
    for _ in range(6):
        one, two, three = (f"{draw.choice('abcdefgh')}{draw.randrange(10**6)}" for _ in range(3))
        lines += [f"def {one}({two}):", f"    {three} = {two} + {draw.randrange(10**6)}"]
        lines += [f"    if {three} > {draw.randrange(10**6)}:", f"        return {three} * {draw.randrange(10**6)}"]
        lines += [f"    {two}.{one}_{draw.randrange(10**6)}({three})", f"    return {two}.{three}", ""]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Corpora of two pairs: one organization carries the other's files as vendored ones, two hold the same."""
    folder = tmp_path_factory.mktemp("organizations")
    trees = {
        "host": {f"host/m{n}.py": module(n) for n in range(100)},
        "carried": {f"carried/kit/v{n}.py": module(500 + n) for n in range(100)},
        "left": {f"left/kit/s{n}.py" if n < 30 else f"left/m{n}.py": module(1000 + n) for n in range(100)},
        "right": {f"right/kit/s{n}.py" if n < 30 else f"right/m{n}.py": module(n) for n in range(2000, 2070)}
        | {f"right/kit/s{n}.py": module(1000 + n) for n in range(30)},
    }
    trees["host"] |= {
        f"_vendor/{path}": text for path, text in trees["carried"].items() if int(path[-5:-3].strip("v")) < 60
    }
    build_corpora(trees, (("host", "carried"), ("left", "right")), folder, AMOUNTS)
    return {name: folder / "corpora" / name for name in trees}


def test_known_files_are_shared_and_nothing_held_out_is(built: dict[str, Path]) -> None:
    corpora = open_corpora([f"{name}={path}" for name, path in built.items()])
    index = CloneIndex()
    for corpus in corpora:
        for file in corpus.files(Split.TRAIN):
            index.add(corpus.organization, file.path, file.text)
    for corpus in corpora:
        kinds = {one.kind for file in corpus.files(Split.TRAIN) for one in index.held(lines_of(file.text)) if one}
        wide = CloneClass.VENDORED if corpus.organization in {"host", "carried"} else CloneClass.SHARED
        assert kinds == {CloneClass.UNIQUE, wide}
        for split in (Split.VALIDATION, Split.TEST):
            held_out = corpus.files(split)
            assert held_out
            assert not any(line for file in held_out for line in index.held(lines_of(file.text)))


def test_every_arm_is_a_plan_that_can_be_meant(built: dict[str, Path], tmp_path: Path) -> None:
    every = arms(TINY.training)
    assert {arm.kind["kind"] for arm in every} == {"centralized", "incremental", "federated", "compartmentalized"}
    for arm in every:
        path = tmp_path / f"{arm.name}.toml"
        path.write_text(plan_text(arm, 7, tmp_path, built, TINY.training, 3.5), encoding="utf-8")
        plan = read_plan(path)
        assert plan.passes == TINY.training.passes * arm.times
        assert (plan.budget.validation_loss == 3.5) is (arm.budget == LOSS)


@pytest.mark.filterwarnings("default")
def test_the_whole_of_it_at_a_tiny_size_and_again_from_what_is_kept(built: dict[str, Path], tmp_path: Path) -> None:
    with progress() as bar:
        outcomes = made_again(tmp_path, built, TINY, (1,), 1, bar)
    assert len(outcomes) == len(arms(TINY.training))
    report = Report("reproduce")
    answer(report, outcomes)
    said = write(report, outcomes, tmp_path)
    assert str(tmp_path / "report" / "report.html") in said
    page = (tmp_path / "report" / "reproduction.md").read_text(encoding="utf-8")
    for title, columns, rows in tables(outcomes):
        assert title in page
        assert all(len(row) == len(columns) for row in rows)
    qualities = next(rows for title, _, rows in tables(outcomes) if title == "Quality")
    assert [(row[0], row[-1]) for row in qualities] == [("FedAvg", "1"), ("FedYogi", "1")]
    for percent in PAPER.values():
        assert f"{percent:.3f} %" in page
    assert json.loads(report.line())["figures"]["centralized_training_loss"] > 0
    for outcome in outcomes:
        assert outcome.result["passes"] == pytest.approx(2 * outcome.arm.times, rel=0.35) or outcome.arm.budget == LOSS
    assert {outcome.arm.budget for outcome in outcomes} == {PASSES, LOSS}
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob(f"runs/*/{RESULT}")}
    # One that was interrupted behind its training is measured, the others are only read.
    next(path for path in written if "compartments" in str(path)).unlink()
    with progress() as bar:
        again = made_again(tmp_path, built, TINY, (1,), 1, bar)
    assert [one.result["measures"] for one in again] == [one.result["measures"] for one in outcomes]
    same = [path for path, at in written.items() if path.stat().st_mtime_ns == at]
    assert len(same) == len(outcomes) - 1
    # Of what is finished is told before all of it is.
    next(path for path in written if "fedyogi-loss" in str(path)).unlink()
    some = finished(tmp_path, TINY, (1, 2))
    assert len(some) == len(outcomes) - 1
    early = Report("reproduce")
    answer(early, some)
    assert [bar.name for bar in early.bars] == ["fedavg_quality_of_centralized"]
    assert all(len(row) == len(columns) for _, columns, rows in tables(some[:1]) for row in rows)


def test_a_trial_that_fails_ends_the_others(built: dict[str, Path], tmp_path: Path) -> None:
    trials = [Trial(tmp_path / f"run{n}", 'nmae = "x"', built, TINY.measuring, 1) for n in range(5)]
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        pytest.raises(PlanError, match="nmae is unknown"),
    ):
        all_made(pool, trials, lambda: None)
    # What lies before the process already may begin, the rest does not.
    assert not (tmp_path / "run4.toml").exists()


def test_limits_over_seeds_are_student_s() -> None:
    values = [{"value": value, "low": 0.0, "high": 1.0, "n": 5} for value in (0.4, 0.5, 0.6)]
    found = across(values)
    assert found is not None
    assert found["value"] == pytest.approx(0.5)
    assert found["high"] == pytest.approx(0.5 + 4.303 * 0.1 / 3**0.5, abs=1e-6)
    assert across(values[:1]) == values[0]
    none = [{"value": 0.0, "low": 0.0, "high": high, "n": 5} for high in (0.1, 0.3)]
    assert across(none) == {"value": 0.0, "low": 0.0, "high": 0.3, "n": 2}, "no spread is no certainty"
    assert across([]) is None


def test_privacy_at_a_tiny_size(tmp_path: Path) -> None:
    trees = {
        name: {f"{name}/m.py": "\n".join(function(first + n) for n in range(24))}
        for name, first in (("left", 0), ("right", 1000))
    }
    size = reproduce_privacy.Size(
        functions=24, canaries=8, base=TINY.base, passes=1, batch=8, block=64, learning_rate=1e-2,
        measuring=TINY.measuring,
    )  # fmt: skip
    with progress() as bar:
        results = reproduce_privacy.made_again(tmp_path, trees, size, (1, 2), 1, bar)
    report = Report("reproduce-privacy")
    reproduce_privacy.answer(report, results)
    assert all(one["run"]["privacy"] is None for one in results[None])
    assert len({(tmp_path / f"seed-{seed}/planted/left/train.jsonl").read_text() for seed in (1, 2)}) == 2
    noises = []
    for epsilon in (8.0, 3.0, 1.0):
        privacy = results[epsilon][1]["run"]["privacy"]
        assert privacy["unit"] == "example"
        assert privacy["epsilon"] <= epsilon
        noises.append(privacy["noise_multiplier"])
    assert noises == sorted(noises)
    assert all("canary_auc" in one["measures"] for some in results.values() for one in some)
    assert any("one function" in note for note in report.notes)
    assert json.loads(report.line())["figures"]["epsilon_1_training_loss"] > 0


def function(number: int) -> str:
    """A function of nine lines or more, like no other."""
    draw = random.Random(f"function {number}")  # noqa: S311 - names, not secrets
    one, two = (f"{draw.choice('abcdefgh')}{draw.randrange(10**6)}" for _ in range(2))
    body = "\n".join(f"    {one} = {one} + {draw.randrange(10**6)} * {two}" for _ in range(8))
    return f"def f{number}({one}, {two}):\n{body}\n    return {one}\n"
