from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from published.releases import Release
from service.demo import ARCHIVES, ORGANIZATIONS, RESTRICTED, Project, fetch
from service.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path


def project(folder: Path, sha256: str = "") -> Project:
    """One whose wheel has been fetched already."""
    path = folder / ARCHIVES / "demo_kit-1.0-py3-none-any.whl"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo/a.py", "a = 1\n")
        archive.writestr("demo_kit-1.0.dist-info/METADATA", "License: MIT\n")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return Project(Release.wheel("demo-kit", "1.0", sha256 or found), "demo/a.py")


def test_a_project_is_unpacked_whole_and_only_once(tmp_path: Path) -> None:
    one, said = project(tmp_path), []
    tree = fetch((one,), tmp_path, said.append)[one]
    assert (tree / one.sample).read_text() == "a = 1\n"
    assert (tree / "demo_kit-1.0.dist-info" / "METADATA").is_file()
    assert fetch((one,), tmp_path, said.append) == {one: tree}
    assert said == ["fetching demo-kit 1.0 from PyPI"]


def test_another_wheel_than_the_published_one_stops_the_demonstration(tmp_path: Path) -> None:
    one = project(tmp_path, "0" * 64)
    with pytest.raises(SetupError, match=r"delete it and run again.*goes on where it stopped"):
        fetch((one,), tmp_path, print)
    assert not (tmp_path / one.slug).exists()


def test_each_project_has_a_name_of_its_own() -> None:
    slugs = {one.slug for one in (*ORGANIZATIONS, RESTRICTED)}
    assert len(slugs) == len(ORGANIZATIONS) + 1
    assert ARCHIVES not in slugs
