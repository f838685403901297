from __future__ import annotations

import io
import random
import shutil
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from guard.corpus import MAX_BYTES
from published import archives
from published.archives import unpack
from published.errors import PublishedCodeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {"package/src/a.py": b"a = 1\n", "package/data.json": b"{}", "package/src/deep/b.py": b"b = 2\n"}


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarball(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, f"w:{path.suffix.lstrip('.').replace('tgz', 'gz')}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def debian(path: Path, files: dict[str, bytes]) -> Path:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is Debian's")
    root = path.with_suffix("")
    control = root / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        "Package: demo\nVersion: 1\nArchitecture: all\nMaintainer: demo <demo@example.org>\nDescription: demo\n",
        encoding="utf-8",
    )
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root, path], check=True, capture_output=True)
    return path


ARCHIVES = [(wheel, "demo.whl"), (tarball, "demo.tgz"), (tarball, "demo.orig.tar.xz"), (debian, "demo.deb")]


def python(path: str) -> bool:
    return path.endswith(".py")


def found(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("write", "name"), ARCHIVES)
def test_the_wanted_files_are_unpacked(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes]], Path], name: str
) -> None:
    unpack(write(tmp_path / name, FILES), tmp_path / "tree", python)
    assert found(tmp_path / "tree") == {name: FILES[name] for name in FILES if python(name)}


@pytest.mark.parametrize(("write", "name"), ARCHIVES[:3])
@pytest.mark.parametrize("path", ["../escape.py", "/escape.py", "demo/../../escape.py", "demo\\..\\escape.py"])
def test_nothing_is_written_outside_the_folder(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes]], Path], name: str, path: str
) -> None:
    archive = write(tmp_path / name, {"fine.py": b"x = 1\n", path: b"x = 1\n"})
    with pytest.raises(PublishedCodeError, match="outside its folder"):
        unpack(archive, tmp_path / "in" / "tree", python)
    assert list(tmp_path.rglob("*.py")) == []


def test_links_are_passed_over(tmp_path: Path) -> None:
    archive = tmp_path / "demo.tgz"
    with tarfile.open(archive, "w:gz") as tarred:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo(f"link{kind.decode()}.py")
            member.type, member.linkname = kind, "/etc/hostname"
            tarred.addfile(member)
    unpack(archive, tmp_path / "tree", python)
    assert found(tmp_path / "tree") == {}


def test_files_that_the_guard_would_not_read_are_left_out(tmp_path: Path) -> None:
    files = {"long.py": b"#" * (MAX_BYTES + 1), "most.py": b"#" * MAX_BYTES, "empty.py": b""}
    unpack(wheel(tmp_path / "demo.whl", files), tmp_path / "tree", python)
    assert list(found(tmp_path / "tree")) == ["most.py"]


def test_an_archive_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 10)
    with pytest.raises(PublishedCodeError, match="more than 10 bytes"):
        unpack(wheel(tmp_path / "demo.whl", FILES), tmp_path / "tree", python)
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(("write", "name"), ARCHIVES)
@pytest.mark.parametrize("keep", [0, 20, 12_000])
def test_a_damaged_archive_leaves_no_tree(
    tmp_path: Path, write: Callable[[Path, dict[str, bytes]], Path], name: str, keep: int
) -> None:
    draw = random.Random(1)  # noqa: S311 - what does not compress
    archive = write(tmp_path / name, {f"{number}.py": draw.randbytes(5_000) for number in range(4)})
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(PublishedCodeError, match="is damaged"):
        unpack(archive, tmp_path / "trees" / "tree", python)
    assert list((tmp_path / "trees").iterdir()) == []
