from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from guard.errors import CorpusError
from training.cli import app
from training.corpora import MANIFEST, CorpusPlan, LicenseChoice, build
from training.errors import DestinationError, EmptyCorpusError, PlanError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable

SPLITS = ("train", "validation", "test")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "corpus"


def examples(out: Path) -> dict[str, dict[str, Any]]:
    """Every example by path, with its split."""
    found: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        for line in (out / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
            example = json.loads(line)
            assert example["path"] not in found
            found[example["path"]] = {**example, "split": split}
    return found


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_every_file_is_one_example_and_whole(tree: Path, out: Path) -> None:
    build(CorpusPlan((tree,), out))
    found = examples(out)
    assert set(found) == {f"acme/{path.relative_to(tree).as_posix()}" for path in tree.rglob("*.py")}
    for name, example in found.items():
        text = (tree.parent / name).read_text(encoding="utf-8")
        assert example["prefix"] + example["middle"] + example["suffix"] == text
        assert (example["language"], example["license"]) == ("python", "MIT")
    assert {example["kind"] for example in found.values()} == {"fim", "left-to-right"}


def test_the_manifest_tells_what_was_done(tree: Path, out: Path) -> None:
    (tree / "copy.py").write_text((tree / "part1" / "module1.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tree / "vendor").mkdir()
    (tree / "vendor" / "theirs.py").write_text("x = 1\n", encoding="utf-8")
    (tree / "data.py").write_bytes(b"\0")
    build(CorpusPlan((tree,), out, seed=7, fim_rate=0.25))
    manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["plan"] == {"trees": ["acme"], "seed": 7, "fim_rate": 0.25, "licenses": "any"}
    assert manifest["left_out"] == {"binary": 1, "exact duplicate": 1, "not source": 1, "vendored": 1}
    assert manifest["code_version"].startswith("cleanroom ")
    assert manifest["licenses"] == {"MIT": 60}
    assert sum(split["examples"] for split in manifest["splits"].values()) == 60
    for split in SPLITS:
        data = (out / f"{split}.jsonl").read_bytes()
        counted = manifest["splits"][split]
        assert counted["sha256"] == hashlib.sha256(data).hexdigest()
        assert counted["examples"] == counted["fim"] + counted["left-to-right"] == data.count(b"\n")


def test_the_same_plan_gives_the_same_bytes_on_any_machine(tree: Path, out: Path, tmp_path: Path) -> None:
    build(CorpusPlan((tree,), out))
    first = content(out)
    elsewhere = tmp_path / "another machine"
    elsewhere.mkdir()
    moved = tree.rename(elsewhere / "acme")
    # There it is a git work tree, which is listed another way.
    subprocess.run(["git", "init", "--quiet", moved], check=True)
    build(CorpusPlan((moved,), tmp_path / "again"))
    assert content(tmp_path / "again") == first
    tree = moved
    build(CorpusPlan((tree,), out, seed=1))
    assert content(out) != first


def test_additions_move_no_file_to_another_split(tree: Path, out: Path, code: Callable[..., str]) -> None:
    build(CorpusPlan((tree,), out))
    before = examples(out)
    for number in range(60, 90):
        (tree / f"a{number}.py").write_text(code(number), encoding="utf-8")
    build(CorpusPlan((tree,), out))
    after = examples(out)
    assert len(after) == 90
    assert {path: after[path] for path in before} == before


def test_copies_never_stand_in_two_splits(tree: Path, out: Path, code: Callable[..., str]) -> None:
    for number in range(60):
        (tree / f"z{number}.py").write_text(f"VERSION = {number}\n" + code(number), encoding="utf-8")
    manifest = build(CorpusPlan((tree,), out))
    assert manifest.left_out["near duplicate"] == 60
    assert not any(path.startswith("acme/z") for path in examples(out))


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        (LicenseChoice.ANY, {"gpl.py", "bsd.py", "mit.py"}),
        (LicenseChoice.PERMISSIVE, {"bsd.py", "mit.py"}),
        (LicenseChoice.OWN, {"mit.py"}),
    ],
)
def test_licences_are_respected_if_asked(
    tree: Path, out: Path, code: Callable[..., str], choice: LicenseChoice, kept: set[str]
) -> None:
    for number, (name, license_) in enumerate({"gpl": "GPL-3.0-only", "bsd": "BSD-3-Clause", "mit": "MIT"}.items(), 60):
        text = f"# SPDX-License-Identifier: {license_}\n{code(number)}"
        (tree / f"{name}.py").write_text(text, encoding="utf-8")
    manifest = build(CorpusPlan((tree,), out, licenses=choice))
    assert {Path(path).name for path in examples(out)} & {"gpl.py", "bsd.py", "mit.py"} == kept
    assert manifest.left_out["licence"] == 3 - len(kept)


def test_a_tree_without_a_licence_is_its_owners(tree: Path, out: Path) -> None:
    (tree / "pyproject.toml").unlink()
    assert build(CorpusPlan((tree,), out, licenses=LicenseChoice.OWN)).examples == 60


def test_only_this_user_reads_what_was_written(tree: Path, out: Path) -> None:
    build(CorpusPlan((tree,), out))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (out, *out.glob("*.jsonl"))}
    assert set(modes.values()) == {0}


def test_an_earlier_corpus_stays_until_the_next_is_complete(tree: Path, out: Path, tmp_path: Path) -> None:
    build(CorpusPlan((tree,), out))
    first = content(out)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(EmptyCorpusError, match=r"empty: 0 files can be used.*1 not source"):
        build(CorpusPlan((empty,), out))
    assert content(out) == first


def test_one_file_is_a_corpus_or_a_clear_error(tmp_path: Path, out: Path) -> None:
    file = tmp_path / "only.py"
    file.write_text("x = 1\n", encoding="utf-8")
    outcomes = set()
    for seed in range(40):
        try:
            build(CorpusPlan((file,), out, seed=seed))
            outcomes.add("built")
            assert set(examples(out)) == {"only.py"}
        except EmptyCorpusError as error:
            outcomes.add("refused")
            assert "1 files can be used, none of which falls to training" in str(error)  # noqa: PT017 - either is right
    assert outcomes == {"built", "refused"}


def test_a_folder_of_something_else_is_left_alone(tree: Path, out: Path) -> None:
    out.mkdir()
    (out / "thesis.tex").write_text("x", encoding="utf-8")
    with pytest.raises(DestinationError, match=r"thesis\.tex"):
        build(CorpusPlan((tree,), out))
    assert set(content(out)) == {"thesis.tex"}


def test_a_destination_that_cannot_be_written_is_named(tree: Path) -> None:
    with pytest.raises(DestinationError, match=r"cannot be written.*--out"):
        build(CorpusPlan((tree,), tree / "part0" / "module0.py"))
    with pytest.raises(CorpusError, match="no/such"):
        build(CorpusPlan((tree / "no/such",), tree.parent / "out"))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"fim_rate": 1.5}, "1.5: give 0 to 1"), ({"seed": -1}, "seed is -1"), ({"trees": ()}, "name at least one")],
)
def test_wrong_plans_are_named(tree: Path, out: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        CorpusPlan(**{"trees": (tree,), "out": out, **change})


def test_two_trees_of_one_name_would_share_paths(tree: Path, out: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin" / "acme"
    twin.mkdir(parents=True)
    with pytest.raises(PlanError, match="two trees are called 'acme'"):
        CorpusPlan((tree, twin), out)


def test_the_command(tree: Path, out: Path) -> None:
    run = CliRunner().invoke(app, ["corpus", "build", str(tree), "--out", str(out), "--seed", "3", "--json"])
    assert run.exit_code == 0
    assert json.loads(run.stdout) == json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    told = CliRunner().invoke(app, ["corpus", "build", str(tree), "--out", str(out)])
    assert "train" in told.stdout
    assert f"written to {out}" in told.stdout
    failed = CliRunner().invoke(app, ["corpus", "build", str(tree), "--out", str(tree)])
    assert failed.exit_code == 1
    assert failed.stderr.startswith("error: ")
    assert issubclass(DestinationError, TrainingError)
