from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from benchmarks.corpora import INDEXED, NEGATIVE, CorpusDownloadError, Project, python_files, sources, unpack_python

if TYPE_CHECKING:
    from pathlib import Path


def wheel(path: Path, files: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_no_project_is_both_indexed_and_not() -> None:
    names = [project.name for project in INDEXED + NEGATIVE]
    assert len(set(names)) == len(names)


def test_a_cached_wheel_is_verified_and_its_python_unpacked(tmp_path: Path) -> None:
    files = {"demo/b.py": "b = 2\n", "demo/a.py": "a = 1\n", "demo/data.json": "{}"}
    path = wheel(tmp_path / "wheels" / "demo_kit-1.0-py3-none-any.whl", files)
    project = Project("demo-kit", "1.0", hashlib.sha256(path.read_bytes()).hexdigest())
    folder = sources([project], tmp_path)["demo-kit"]
    assert list(python_files(folder)) == [("demo/a.py", "a = 1\n"), ("demo/b.py", "b = 2\n")]
    assert not list(folder.rglob("*.json"))
    path.unlink()
    assert sources([project], tmp_path)["demo-kit"] == folder


def test_a_wheel_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels" / "demo-1.0-py3-none-any.whl", {"demo.py": "x = 1\n"})
    with pytest.raises(CorpusDownloadError, match=r"demo 1\.0 published: delete it"):
        sources([Project("demo", "1.0", "0" * 64)], tmp_path)
    assert not (tmp_path / "source" / "demo-1.0").exists()


@pytest.mark.parametrize("name", ["../escape.py", "/escape.py", "demo/../../escape.py", "demo\\..\\escape.py"])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    path = wheel(tmp_path / "bad.whl", {name: "x = 1\n"})
    with pytest.raises(CorpusDownloadError, match="outside its folder"):
        unpack_python(path, tmp_path / "folder")
    assert [found.name for found in tmp_path.rglob("*.py")] == []


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CorpusDownloadError, match="pip could not download demo") as caught:
        sources([Project("demo", "1.0", "0" * 64)], tmp_path)
    assert "put the wheels into" in str(caught.value)
