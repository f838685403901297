from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from benchmarks.npm_corpora import NpmDownloadError, NpmProject, npm_sources, unpack_source

if TYPE_CHECKING:
    from pathlib import Path


def tarball(path: Path, files: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("package/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "../../outside.js"
        archive.addfile(link)
    return path


def test_a_cached_tarball_is_verified_and_its_source_unpacked(tmp_path: Path) -> None:
    files = {"package/a.java": "class A {}\n", "package/lib/b.ts": "let b = 1;\n", "package/logo.png": "x"}
    path = tarball(tmp_path / "tarballs" / "demo-1.0.tgz", files)
    project = NpmProject("demo", "1.0", hashlib.sha256(path.read_bytes()).hexdigest())
    folder = npm_sources(project, tmp_path)
    found = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    assert found == ["package/a.java", "package/lib/b.ts"]
    path.unlink()
    assert npm_sources(project, tmp_path) == folder


def test_a_tarball_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    tarball(tmp_path / "tarballs" / "demo-1.0.tgz", {"package/a.js": "1\n"})
    with pytest.raises(NpmDownloadError, match=r"demo 1\.0 published: delete it"):
        npm_sources(NpmProject("demo", "1.0", "0" * 64), tmp_path)
    assert not (tmp_path / "source" / "demo-1.0").exists()


@pytest.mark.parametrize("name", ["../escape.js", "/escape.js", "package/../../escape.js", "package\\..\\escape.js"])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    path = tarball(tmp_path / "bad.tgz", {name: "1\n"})
    with pytest.raises(NpmDownloadError, match="outside its folder"):
        unpack_source(path, tmp_path / "folder")
    assert list(tmp_path.rglob("escape.js")) == []


def test_without_npm_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NpmDownloadError, match=r"install Node\.js, or put demo-1\.0\.tgz into"):
        npm_sources(NpmProject("demo", "1.0", "0" * 64), tmp_path)
