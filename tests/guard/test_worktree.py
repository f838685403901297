from __future__ import annotations

from typing import TYPE_CHECKING

from samples.trees import PYTHON, git, plant, taken

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

IGNORES: dict[str, str | bytes] = {
    ".gitignore": "build/\n*.log.py\n!keep.log.py\n/top.py\n!\n\n# a comment\n",
    "sub/.gitignore": "!special.log.py\nlocal.py\n",
    "sub/special.log.py": PYTHON,
    "sub/local.py": PYTHON,
    "sub/top.py": PYTHON,
    "local.py": PYTHON,
    "top.py": PYTHON,
    "a.log.py": PYTHON,
    "keep.log.py": PYTHON,
    "build/out.py": PYTHON,
    "sub/build/out.py": PYTHON,
}
KEPT = {"sub/special.log.py", "sub/top.py", "local.py", "keep.log.py"}


def test_nested_ignore_files_are_respected_without_git(tmp_path: Path) -> None:
    assert taken(plant(tmp_path, IGNORES)) == KEPT


def test_in_a_work_tree_git_decides_and_agrees(tmp_path: Path) -> None:
    plant(tmp_path, IGNORES)
    git(tmp_path, "init", "-q")
    assert taken(tmp_path) == KEPT
    git(tmp_path, "add", "local.py", "sub/top.py")
    git(tmp_path, "add", "--force", "build/out.py")
    assert taken(tmp_path) == KEPT | {"build/out.py"}
    (tmp_path / "local.py").unlink()
    assert taken(tmp_path) == (KEPT | {"build/out.py"}) - {"local.py"}
    assert taken(tmp_path / "sub") == {"special.log.py", "top.py"}


def test_a_folder_that_the_work_tree_ignores_can_still_be_named(tmp_path: Path) -> None:
    plant(tmp_path, {".gitignore": "downloads/\n", "downloads/lib/a.py": PYTHON, "b.py": PYTHON})
    git(tmp_path, "init", "-q")
    assert taken(tmp_path) == {"b.py"}
    assert taken(tmp_path / "downloads") == {"lib/a.py"}


def test_submodules_and_nested_repositories_are_part_of_the_tree(tmp_path: Path) -> None:
    library = plant(tmp_path / "library", {"lib.py": PYTHON})
    git(library, "init", "-q")
    git(library, "add", ".")
    git(library, "commit", "-qm", "lib")
    main = plant(tmp_path / "main", {"app.py": PYTHON, "nested/n.py": PYTHON, "nested/.gitignore": "secret.py\n"})
    plant(main, {"nested/secret.py": PYTHON})
    git(main, "init", "-q")
    git(main, "submodule", "add", "-q", str(library), "deps/lib")
    git(main / "nested", "init", "-q")
    assert taken(main) == {"app.py", "deps/lib/lib.py", "nested/n.py"}
    git(main, "submodule", "deinit", "-f", "deps/lib")
    assert taken(main) == {"app.py", "nested/n.py"}


def test_git_variables_of_the_surroundings_do_not_mislead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = plant(tmp_path / "other", {"o.py": PYTHON})
    git(other, "init", "-q")
    git(other, "add", ".")
    tree = plant(tmp_path / "tree", {"t.py": PYTHON})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert taken(tree) == {"t.py"}


def test_a_repository_cannot_run_its_own_programs(tmp_path: Path) -> None:
    plant(tmp_path, {"a.py": PYTHON, "spy.sh": "#!/bin/sh\ntouch ran\n"})
    (tmp_path / "spy.sh").chmod(0o755)
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "core.fsmonitor", str(tmp_path / "spy.sh"))
    assert taken(tmp_path) == {"a.py", "spy.sh"}
    assert not (tmp_path / "ran").exists()


def test_without_git_the_tree_is_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, IGNORES)
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert taken(tmp_path) == KEPT
