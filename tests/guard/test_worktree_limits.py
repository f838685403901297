from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from guard.corpus import Skipped, SkipReason, walk
from guard.errors import CorpusError
from guard.worktree import list_paths

if TYPE_CHECKING:
    from pathlib import Path


def test_what_lies_too_deep_for_the_system_is_reported(tmp_path: Path) -> None:
    # A path of more than 4096 bytes cannot be opened by its name; folder by folder it can be made.
    folder, name = os.open(tmp_path, os.O_RDONLY), "d" * 250
    try:
        for _ in range(17):
            os.mkdir(name, dir_fd=folder)
            inner = os.open(name, os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = inner
            os.close(os.open("f" * 200 + ".py", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    finally:
        os.close(folder)
    reasons = {item.path: item.reason for item in walk(tmp_path) if isinstance(item, Skipped)}
    assert {reason for path, reason in reasons.items() if path.endswith("/")} == {SkipReason.UNREADABLE}
    assert SkipReason.UNREADABLE in {reason for path, reason in reasons.items() if path.endswith(".py")}


def test_a_folder_that_is_not_there_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="No such file"):
        list_paths(tmp_path / "missing")


def test_where_git_fails_halfway_the_tree_is_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("bin", "tree"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "git").write_text('#!/bin/sh\ncase "$*" in *check-ignore*) exit 1;; esac\nexit 128\n')
    (tmp_path / "bin" / "git").chmod(0o700)
    (tmp_path / "tree" / "a.py").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert [*list_paths(tmp_path / "tree")] == ["a.py"]
