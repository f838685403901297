from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from guard.background import Background
from guard.errors import CorpusError
from guard.tokens import lex
from training.backgrounds import BackgroundManifest, BackgroundPlan, Reading, build_background
from training.cli import app
from training.errors import DestinationError, EmptyCorpusError, PlanError
from training.public_code import LANGUAGES, pinned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "models" / "python.bin"


def write(tree: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tree


def test_a_model_counts_the_tokens_of_its_trees(tree: Path, out: Path) -> None:
    manifest = build_background(BackgroundPlan("python", (tree,)), out)
    files = list(tree.rglob("*.py"))
    tokens = sum(len(lex(path.read_text(encoding="utf-8"), "python", fragment=False).code) for path in files)
    assert (manifest.files, manifest.tokens) == (len(files), tokens)
    assert manifest.size == sum(path.stat().st_size for path in files)
    assert Background.from_bytes(out.read_bytes()).tokens == tokens
    assert BackgroundManifest.beside(out) == manifest


def test_the_same_trees_give_the_same_model(tree: Path, out: Path, tmp_path: Path) -> None:
    first = build_background(BackgroundPlan("python", (tree,)), out)
    copy = shutil.copytree(tree, tmp_path / "elsewhere" / tree.name)
    assert build_background(BackgroundPlan("python", (copy,)), tmp_path / "again.bin") == first
    assert (tmp_path / "again.bin").read_bytes() == out.read_bytes()


def test_another_text_gives_other_corpora(tree: Path, out: Path) -> None:
    first = build_background(BackgroundPlan("python", (tree,)), out)
    path = next(tree.rglob("*.py"))
    path.write_text(path.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")
    assert build_background(BackgroundPlan("python", (tree,)), out).corpora_sha256 != first.corpora_sha256


def test_of_two_copies_one_counts(tree: Path, out: Path, tmp_path: Path) -> None:
    alone = build_background(BackgroundPlan("python", (tree,)), out)
    copy = shutil.copytree(tree, tmp_path / "fork")
    manifest = build_background(BackgroundPlan("python", (tree, copy)), out)
    assert (manifest.tokens, manifest.left_out["duplicate"]) == (alone.tokens, alone.files)


def test_no_tree_counts_for_more_than_its_share(tmp_path: Path, out: Path, code: Callable[..., str]) -> None:
    large = write(tmp_path / "large", {f"m{n}.py": code(n) for n in range(40)})
    small = write(tmp_path / "small", {f"m{n}.py": code(100 + n) for n in range(3)})
    rest = sum(path.stat().st_size for path in small.iterdir())
    manifest = build_background(BackgroundPlan("python", (large, small), tree_bytes=9_000), out)
    assert manifest.size <= 9_000 + rest
    assert 3 < manifest.files < 20
    assert manifest.left_out == {"over the tree's share": 43 - manifest.files}


@pytest.mark.parametrize(
    "path", ["tests/fixtures/f.py", "testdata/f.py", "pkg/extern/f.py", "pkg/Generated/f.py", "app/migrations/f.py"]
)
def test_test_data_and_built_code_do_not_count(tmp_path: Path, out: Path, code: Callable[..., str], path: str) -> None:
    tree = write(tmp_path / "t", {path: code(1), "tests/test_real.py": code(2)})
    manifest = build_background(BackgroundPlan("python", (tree,)), out)
    assert (manifest.files, manifest.left_out) == (1, {"test data, built or bundled": 1})


def test_vendored_generated_and_foreign_files_do_not_count(tmp_path: Path, out: Path, code: Callable[..., str]) -> None:
    files = {"a.py": code(1), "pkg/_vendor/b.py": code(2), "c.py": f"# @generated\n{code(3)}", "d.go": "package d\n"}
    manifest = build_background(BackgroundPlan("python", (write(tmp_path / "t", files),)), out)
    assert (manifest.files, manifest.left_out) == (1, {"generated": 1, "vendored": 1})


def test_c_and_its_headers_count_for_cpp(tmp_path: Path, out: Path) -> None:
    tree = write(tmp_path / "t", {"a.h": "int a(int b);\n", "a.cpp": "int a(int b) { return b + 1; }\n"})
    assert build_background(BackgroundPlan("cpp", (tree,)), out).files == 2


def test_progress_names_each_tree(tree: Path, out: Path) -> None:
    seen: list[Reading] = []
    build_background(BackgroundPlan("python", (tree,)), out, progress=seen.append)
    assert seen == [Reading(0, 1, tree.name), Reading(1, 1, "")]


def test_what_cannot_be_learnt_from_is_refused(tree: Path, out: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="name at least one source tree"):
        BackgroundPlan("python", ())
    with pytest.raises(PlanError, match="'cobol-85'"):
        BackgroundPlan("cobol-85", (tree,))
    with pytest.raises(PlanError, match="positive"):
        BackgroundPlan("python", (tree,), tree_bytes=0)
    with pytest.raises(EmptyCorpusError, match="no rust code in 1 trees counts"):
        build_background(BackgroundPlan("rust", (tree,)), out)
    with pytest.raises(CorpusError, match="cannot be read"):
        build_background(BackgroundPlan("python", (tmp_path / "gone",)), out)
    assert not out.exists()


def test_a_destination_that_cannot_be_written_is_named(tree: Path, out: Path) -> None:
    out.parent.write_text("in the way", encoding="utf-8")
    with pytest.raises(DestinationError, match="cannot be written"):
        build_background(BackgroundPlan("python", (tree,)), out)


def test_a_model_that_is_not_its_manifests_is_refused(tree: Path, out: Path) -> None:
    with pytest.raises(DestinationError, match="cannot be read"):
        BackgroundManifest.beside(out)
    build_background(BackgroundPlan("python", (tree,)), out)
    content = out.read_bytes()
    out.write_bytes(content + b"\0")
    with pytest.raises(DestinationError, match="is not the model that"):
        BackgroundManifest.beside(out)
    out.write_bytes(content)
    for damage in ("{", "{}", json.dumps({"trees": 3}), "[]"):
        out.with_name("python.bin.json").write_text(damage, encoding="utf-8")
        with pytest.raises(DestinationError, match="no manifest"):
            BackgroundManifest.beside(out)


def test_the_commands_build_and_show(tree: Path, out: Path) -> None:
    run = CliRunner()
    built = run.invoke(app, ["background", "build", "--language", "python", "--out", str(out), str(tree)])
    assert built.exit_code == 0, built.output
    manifest = BackgroundManifest.beside(out)
    shown = run.invoke(app, ["background", "show", str(out)])
    assert shown.exit_code == 0
    for value in ("python", manifest.code_version, str(manifest.tokens), manifest.corpora_sha256):
        assert value in shown.output
    assert "def " not in out.with_name("python.bin.json").read_text(encoding="utf-8")


def test_the_list_is_shown_by_language() -> None:
    shown = CliRunner().invoke(app, ["background", "show"])
    for language in LANGUAGES:
        assert f"{language:<12} {len(pinned(language)):>4} packages" in shown.output


def test_a_failure_is_told_without_a_trace(out: Path) -> None:
    for command in (["build", "--language", "python", "--out", str(out)], ["show", str(out)]):
        failed = CliRunner().invoke(app, ["background", *command])
        assert failed.exit_code == 1
        assert "error: " in failed.output
