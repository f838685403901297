"""Source files out of a package's archive: wheels, npm's and source tarballs, Debian packages. Knows no registry.

An archive is somebody else's: no path leaves the folder, links and devices are passed over, sizes are bounded.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from guard.corpus import MAX_BYTES
from published.errors import PublishedCodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_UNPACKED: Final = 512 * 1024 * 1024
"""Bytes of source that one archive may hold. The largest that is pinned has a tenth of it."""
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError)
# zipfile raises RuntimeError for what is encrypted or packed in a way it does not know.


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool]) -> None:
    """Write the files of `archive` whose path is `wanted` to `folder`, which is made whole or not at all.

    Files over the guard's limit (guard.corpus.MAX_BYTES) are left out: the guard would not read them.

    Raises:
        PublishedCodeError: the archive is damaged, has a path out of the folder, or unpacks to more than MAX_UNPACKED.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        _write(archive, draft, wanted)
        draft.chmod(0o755)
        draft.rename(folder)
    except _DAMAGE as error:
        message = f"{archive} is damaged ({error}): delete it, run again"
        raise PublishedCodeError(message) from error
    except OSError as error:
        message = f"{archive} cannot be unpacked to {folder} ({error.strerror}): free space, or name another folder"
        raise PublishedCodeError(message) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(archive: Path, draft: Path, wanted: Callable[[str], bool]) -> None:
    total = 0
    for name, content in _files(archive, wanted):
        total += len(content)
        if total > MAX_UNPACKED:
            message = f"{archive} unpacks to more than {MAX_UNPACKED} bytes of source: look at it before you use it"
            raise PublishedCodeError(message)
        target = draft.joinpath(*_parts(archive, name))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        message = f"{archive} has a file {name!r} outside its folder: delete it, run again"
        raise PublishedCodeError(message)
    return path.parts


def _files(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each wanted regular file of at most MAX_BYTES."""
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if 0 < info.file_size <= MAX_BYTES and wanted(info.filename):
                    yield info.filename, zipped.read(info)
        return
    with _tar(archive) as tarred:
        for member in tarred:
            if member.isreg() and 0 < member.size <= MAX_BYTES and wanted(member.name):
                file = tarred.extractfile(member)
                yield member.name, file.read() if file else b""


@contextmanager
def _tar(archive: Path) -> Iterator[tarfile.TarFile]:
    """A tarball to read front to back, be it the archive itself or what a Debian package holds."""
    if archive.suffix != ".deb":
        with tarfile.open(archive, "r|*") as tarred:
            yield tarred
        return
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                ["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE, stderr=errors
            )
        except FileNotFoundError as error:
            message = f"dpkg-deb is needed to unpack {archive}, and is not on the PATH: install it, run again"
            raise PublishedCodeError(message) from error
        with process, tarfile.open(fileobj=process.stdout, mode="r|") as tarred:
            yield tarred
            if process.stdout:
                process.stdout.read()  # padding: dpkg-deb must not find the pipe closed
        if process.returncode:
            message = f"{archive} is damaged (dpkg-deb failed with {process.returncode}): delete it, run again"
            raise PublishedCodeError(message)
