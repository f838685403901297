from __future__ import annotations

import hashlib
import re
import zipfile
from typing import TYPE_CHECKING

import pytest

from benchmarks.corpora import INDEXED, NEGATIVE
from guard.licenses import LicenseAction, LicensePolicy, decide
from published.releases import Registry, Release
from training.errors import PublicCodeError
from training.public_code import LANGUAGES, Fetched, PublicPackage, fetch, pinned

if TYPE_CHECKING:
    from pathlib import Path

LISTED = [package for language in LANGUAGES for package in pinned(language)]


def package(folder: Path, name: str = "demo-kit") -> PublicPackage:
    """A package whose archive is in the cache already."""
    archive = archive_of(folder, name)
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("demo/a.py", "a = 1\n")
        zipped.writestr("demo/a.pyi", "a: int\n")
        zipped.writestr("demo/a.js", "let a = 1\n")
    release = Release.wheel(name, "1.0", hashlib.sha256(archive.read_bytes()).hexdigest())
    return PublicPackage("python", "MIT", release)


def archive_of(folder: Path, name: str) -> Path:
    return folder / "archives" / Registry.PYPI / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"


def test_every_row_of_the_list_can_be_fetched_and_is_listed_once() -> None:
    for row in LISTED:
        assert re.fullmatch(r"[0-9a-f]{64}", row.release.sha256)
        assert row.release.version
        assert "/" not in row.release.file
        assert re.fullmatch(r"[\w.+@~-]+", row.release.tree)
    for field in ("tree", "file"):
        keys = [(row.language, getattr(row.release, field)) for row in LISTED]
        assert len(set(keys)) == len(keys)


def test_what_is_listed_is_permissively_licensed_or_copyleft_by_the_file() -> None:
    denied = {row.license for row in LISTED if decide(LicensePolicy.default(), row.license) is LicenseAction.DENY}
    assert denied == {
        "MPL-2.0",
        # Permissive licences of one project each, which SPDX has no name for or the guard no category.
        "LicenseRef-Biopython-License-Agreement",
        "LicenseRef-JDOM",
        "LicenseRef-Repoze-BSD-derived",
        "LicenseRef-matplotlib",
    }


def test_nothing_is_listed_that_the_benchmarks_measure() -> None:
    measured = {project.name for project in INDEXED + NEGATIVE}
    assert not {row.release.name for row in LISTED if row.release.registry is Registry.PYPI} & {*measured, "ansible"}


def test_a_language_without_a_list_is_refused() -> None:
    with pytest.raises(PublicCodeError, match="'cobol': choose one of python"):
        pinned("cobol")


def test_a_cached_archive_is_verified_and_its_code_unpacked_once(tmp_path: Path) -> None:
    one = package(tmp_path)
    seen: list[Fetched] = []
    (tree,) = fetch([one], tmp_path, progress=seen.append)
    assert tree == tmp_path / "python" / "demo-kit-1.0"
    assert [path.name for path in tree.rglob("*.*")] == ["a.py"]
    assert seen == [Fetched(0, 1, "demo-kit"), Fetched(1, 1, "")]
    archive_of(tmp_path, "demo-kit").unlink()
    assert fetch([one], tmp_path) == (tree,)


def test_an_archive_that_is_not_the_one_that_was_chosen_is_refused(tmp_path: Path) -> None:
    one = package(tmp_path)
    archive = archive_of(tmp_path, "demo-kit")
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(PublicCodeError, match=r"is not demo-kit 1\.0 as it was pinned"):
        fetch([one], tmp_path)
    assert not (tmp_path / "python").exists()


def test_a_run_goes_on_where_another_stopped(tmp_path: Path) -> None:
    one, two = package(tmp_path, name="one"), package(tmp_path, name="two")
    archive = archive_of(tmp_path, "two")
    content = archive.read_bytes()
    archive.write_bytes(b"")
    with pytest.raises(PublicCodeError, match="two"):
        fetch([one, two], tmp_path)
    archive.write_bytes(content)
    assert [tree.name for tree in fetch([one, two], tmp_path)] == ["one-1.0", "two-1.0"]
