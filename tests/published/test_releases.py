from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from published.errors import PublishedCodeError
from published.releases import Registry, Release, archive_of, source_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ABSENT = Release.wheel("demo-kit", "1.0", "0" * 64)


def pinned(archives: Path) -> Release:
    """A release whose archive has been fetched already."""
    archives.mkdir()
    archive = archives / ABSENT.file
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("demo/a.py", "a = 1\n")
        zipped.writestr("demo/a.js", "let a = 1\n")
    return Release.wheel("demo-kit", "1.0", hashlib.sha256(archive.read_bytes()).hexdigest())


def python(path: str) -> bool:
    return path.endswith(".py")


def test_a_kept_archive_is_verified_and_unpacked_once(tmp_path: Path) -> None:
    archives, tree = tmp_path / "archives", tmp_path / "trees" / "demo"
    release = pinned(archives)
    assert source_tree(release, tree, archives, python) == tree
    assert [path.name for path in tree.rglob("*.*")] == ["a.py"]
    (archives / release.file).unlink()
    assert source_tree(release, tree, archives, python) == tree


def test_another_archive_is_refused_by_both_hashes_and_leaves_no_tree(tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    found = pinned(archives).sha256
    with pytest.raises(PublishedCodeError) as caught:
        source_tree(ABSENT, tmp_path / "tree", archives, python)
    message = str(caught.value)
    for told in (str(archives / ABSENT.file), "demo-kit 1.0", found, ABSENT.sha256, "delete it and run again"):
        assert told in message
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(
    ("registry", "client"),
    [(Registry.NPM, "npm"), (Registry.DEBIAN, "apt-get"), (Registry.DEBIAN_SOURCE, "apt-get")],
)
def test_a_missing_client_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry, client: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PublishedCodeError, match=f"fetched by {client}, which is not on the PATH: install it"):
        archive_of(Release(registry, "demo", "1.0", "0" * 64, "demo.tgz"), tmp_path / "archives")


def test_a_download_that_fails_says_what_to_do_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(PublishedCodeError, match=r"pip could not download demo-kit 1\.0") as caught:
        archive_of(ABSENT, tmp_path)
    assert f"put {ABSENT.file} into {tmp_path} yourself" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts an npm on the PATH that does what a script says."""

    def stand_in(script: str) -> None:
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))

    return stand_in


def test_a_client_that_brings_another_file_is_told_of(tmp_path: Path, npm: Callable[[str], None]) -> None:
    npm(": > other-1.0.tgz")
    with pytest.raises(PublishedCodeError, match=r"npm could not download demo 1\.0: no demo-1\.0\.tgz came"):
        archive_of(Release(Registry.NPM, "demo", "1.0", "0" * 64, "demo-1.0.tgz"), tmp_path / "archives")


def test_what_a_client_complains_of_is_passed_on(tmp_path: Path, npm: Callable[[str], None]) -> None:
    npm("echo no such package >&2; exit 3")
    with pytest.raises(PublishedCodeError, match=r"no such package\n.*npm config list"):
        archive_of(Release(Registry.NPM, "demo", "1.0", "0" * 64, "demo-1.0.tgz"), tmp_path / "archives")


def test_a_client_brings_the_archive(tmp_path: Path, npm: Callable[[str], None]) -> None:
    npm("printf tar > demo-1.0.tgz")
    release = Release(Registry.NPM, "demo", "1.0", hashlib.sha256(b"tar").hexdigest(), "demo-1.0.tgz")
    archive = archive_of(release, tmp_path / "archives")
    assert archive.read_bytes() == b"tar"
    assert list((tmp_path / "archives").iterdir()) == [archive]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "archives").write_text("in the way")
    with pytest.raises(PublishedCodeError, match=r"archives.*name another folder"):
        archive_of(ABSENT, tmp_path / "archives")
