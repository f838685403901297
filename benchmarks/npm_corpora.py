"""Real projects in other languages than Python, as npm published them, pinned by version and hash. Knows no guard.

They stand in the index where a question is not about Python. npm is optional: without it, and without a tarball in the
cache, there are none. Only files that are source code by their names are unpacked.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from corpora import sha256_of

from guard.languages import language_of

MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes of source that a tarball may hold; the one here has 20 MB."""
_PATIENCE = 600


@dataclass(frozen=True, slots=True)
class NpmProject:
    """A project, whose tarball has this SHA-256."""

    name: str
    version: str
    sha256: str

    @property
    def tree(self) -> str:
        """What its source folder is called."""
        return f"{self.name}-{self.version}"


POLYGLOT = (NpmProject("react-native", "0.76.0", "f02d7c494105d6ecd3ea7ba89d1b90aaa848de5bd2ddcf145947f8b311478065"),)
"""Java, C++, Objective-C, Kotlin, JavaScript and TypeScript."""


class NpmDownloadError(Exception):
    """A project could not be had, or is not what was published."""


def npm_sources(project: NpmProject, cache: Path) -> Path:
    """Its source folder, downloaded and unpacked unless `cache` has it.

    Raises:
        NpmDownloadError: npm is not there or cannot download it, or the tarball is not the published one.
    """
    folder = cache / "source" / project.tree
    if not folder.is_dir():
        tarball = cache / "tarballs" / f"{project.tree}.tgz"
        if not tarball.is_file():
            _download(project, tarball.parent)
        if not tarball.is_file() or sha256_of(tarball) != project.sha256:
            message = f"{tarball} is not what {project.name} {project.version} published: delete it, run again"
            raise NpmDownloadError(message)
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            unpack_source(tarball, draft)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def _download(project: NpmProject, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", f"{project.name}@{project.version}", "--ignore-scripts", "--silent"]
    try:
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except OSError as error:
        message = f"npm is not to be had ({error}): install Node.js, or put {project.tree}.tgz into {folder}"
        raise NpmDownloadError(message) from error
    if run.returncode:
        message = f"npm could not download {project.name} {project.version}: {run.stderr.strip()[-500:]}"
        raise NpmDownloadError(message)


def unpack_source(tarball: Path, folder: Path) -> None:
    """Write the source files of a gzipped tarball below `folder`, and nothing anywhere else.

    Raises:
        NpmDownloadError: a name leads out of the folder, or there is more than MAX_UNPACKED bytes of source.
    """
    with tarfile.open(tarball, "r:gz") as archive:
        members = [info for info in archive if info.isreg() and language_of(info.name)]
        if sum(info.size for info in members) > MAX_UNPACKED:
            message = f"{tarball} unpacks to more than {MAX_UNPACKED} bytes: it is not what this benchmark expects"
            raise NpmDownloadError(message)
        for info in members:
            path = PurePosixPath(info.name)
            if path.is_absolute() or ".." in path.parts or "\\" in info.name:
                message = f"{tarball} has a file {info.name!r} outside its folder: delete it, run again"
                raise NpmDownloadError(message)
            content = archive.extractfile(info)
            assert content is not None, "a regular file has content"
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
