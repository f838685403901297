from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from benchmarks.corpora import INDEXED, NEGATIVE, polyglot, python_files, sources
from published.errors import PublishedCodeError
from published.releases import Registry, Release

if TYPE_CHECKING:
    from pathlib import Path


def wheel(cache: Path, files: dict[str, str]) -> Release:
    path = cache / "wheels" / "demo_kit-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return Release.wheel("demo-kit", "1.0", hashlib.sha256(path.read_bytes()).hexdigest())


def tarball(cache: Path, files: dict[str, str]) -> Release:
    path = cache / "tarballs" / "demo-1.0.tgz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return Release(Registry.NPM, "demo", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), path.name)


def test_no_project_is_both_indexed_and_not() -> None:
    names = [project.name for project in INDEXED + NEGATIVE]
    assert len(set(names)) == len(names)


def test_of_a_wheel_the_python_is_unpacked(tmp_path: Path) -> None:
    release = wheel(
        tmp_path, {"demo/b.py": "b = 2\n", "demo/a.py": "a = 1\n", "demo/data.json": "{}", "demo/c.js": ";"}
    )
    folder = sources([release], tmp_path)["demo-kit"]
    assert folder == tmp_path / "source" / "demo-kit-1.0"
    assert list(python_files(folder)) == [("demo/a.py", "a = 1\n"), ("demo/b.py", "b = 2\n")]
    assert {path.suffix for path in folder.rglob("*.*")} == {".py"}


def test_of_a_tarball_all_source_code_is_unpacked(tmp_path: Path) -> None:
    files = {"package/a.java": "class A {}\n", "package/lib/b.ts": "let b = 1;\n", "package/logo.png": "x"}
    folder = sources([tarball(tmp_path, files)], tmp_path)["demo"]
    found = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    assert found == ["package/a.java", "package/lib/b.ts"]


def test_what_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path, {"demo.py": "x = 1\n"})
    with pytest.raises(PublishedCodeError, match=r"is not demo-kit 1\.0 as it was pinned"):
        sources([Release.wheel("demo-kit", "1.0", "0" * 64)], tmp_path)
    assert not (tmp_path / "source").exists()


def test_files_without_text_are_passed_over(tmp_path: Path) -> None:
    for name, content in (("empty.py", b""), ("latin.py", b"# \xe4\n"), ("some.py", b"x = 1\n")):
        (tmp_path / name).write_bytes(content)
    assert list(python_files(tmp_path)) == [("some.py", "x = 1\n")]


def test_without_npm_there_is_only_python_and_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folders, (note,) = polyglot(tmp_path)
    assert folders == {}
    assert note.startswith("only Python is indexed: react-native is fetched by npm, which is not on the PATH")
