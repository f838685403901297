"""Releases pinned by version and SHA-256: fetched by their registry's own client, verified, kept, unpacked to a tree.

The client (pip, npm, apt-get) knows the user's mirror, proxy and credentials; the hash says what came of it. Knows
neither what the code is for nor what of it is wanted.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from published.archives import unpack
from published.errors import PublishedCodeError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE: Final = 1800
"""Seconds for one download."""
_REASON: Final = 500
"""Characters of a client's complaint that are passed on."""


class Registry(StrEnum):
    """Where a release is published, which says by which client it is fetched."""

    PYPI = "pypi"
    NPM = "npm"
    DEBIAN = "debian"
    DEBIAN_SOURCE = "debian-source"


@dataclass(frozen=True, slots=True)
class Release:
    """A version of a package. Its archive, called `file` in the registry, has this SHA-256 (hex)."""

    registry: Registry
    name: str
    version: str
    sha256: str
    file: str

    @classmethod
    def wheel(cls, name: str, version: str, sha256: str) -> Release:
        """One on PyPI, as a wheel for every machine."""
        return cls(Registry.PYPI, name, version, sha256, f"{name.replace('-', '_')}-{version}-py3-none-any.whl")

    @property
    def tree(self) -> str:
        """What its source folder is called."""
        return f"{self.name.lstrip('@').replace('/', '+')}-{self.version.replace(':', '+')}"


def source_tree(release: Release, tree: Path, archives: Path, wanted: Callable[[str], bool]) -> Path:
    """The folder `tree` with the release's files whose path is `wanted`; if it is there, nothing is fetched.

    The archive stays in `archives`, and one that lies there is used.

    Raises:
        PublishedCodeError: as `archive_of` and `archives.unpack`.
    """
    if not tree.is_dir():
        unpack(archive_of(release, archives), tree, wanted)
    return tree


def archive_of(release: Release, folder: Path) -> Path:
    """The release's archive in `folder`, fetched unless it is there, and verified either way.

    Raises:
        PublishedCodeError: its client fails or is missing, the folder cannot be used, or the hash is another.
    """
    archive = folder / release.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not archive.is_file():
            _download(release, folder)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{archive} cannot be written or read ({error.strerror}): make room there, or name another folder"
        raise PublishedCodeError(message) from error
    if found != release.sha256:
        message = (
            f"{archive} is not {release.name} {release.version} as it was pinned (SHA-256 {found}, expected "
            f"{release.sha256}): delete it and run again; if it is so again, do not use it"
        )
        raise PublishedCodeError(message)
    return archive


def _download(release: Release, folder: Path) -> None:
    """Have the registry's client fetch the archive into `folder`."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        command = _command(release, scratch)
        client = "pip" if release.registry is Registry.PYPI else command[0]
        reason = _run(release, client, command, scratch)
        if reason or not (scratch / release.file).is_file():
            message = (
                f"{client} could not download {release.name} {release.version}: {reason or f'no {release.file} came'}\n"
                f"{_REMEDIES[release.registry]}, or put {release.file} into {folder} yourself, then run again"
            )
            raise PublishedCodeError(message)
        (scratch / release.file).replace(folder / release.file)


def _run(release: Release, client: str, command: list[str], scratch: Path) -> str:
    """Run a client; answer what it complains of, nothing if it succeeded."""
    try:
        run = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE
        )
    except FileNotFoundError as error:
        message = f"{release.name} is fetched by {client}, which is not on the PATH: install it, run again"
        raise PublishedCodeError(message) from error
    except subprocess.TimeoutExpired:
        return f"nothing came within {PATIENCE} s"
    if not run.returncode:
        return ""
    return (run.stderr or run.stdout).strip()[-_REASON:] or f"it ended with {run.returncode}"


_REMEDIES: Final = {
    Registry.PYPI: "Check the network, pip's index (`pip config list`) and that `python -m pip` works here",
    Registry.NPM: "Check the network or npm's registry (`npm config list`)",
    Registry.DEBIAN: "Run `apt-get update`; Debian 12's list of packages is needed",
    Registry.DEBIAN_SOURCE: "Run `apt-get update` with Debian 12's `deb-src` entries in the list of sources",
}


def _command(release: Release, scratch: Path) -> list[str]:
    debian = f"{release.name}={release.version}"
    match release.registry:
        case Registry.PYPI:
            options = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "--only-binary", ":all:"]
            requirements = scratch / "requirements.txt"
            requirements.write_text(f"{release.name}=={release.version} --hash=sha256:{release.sha256}\n", "utf-8")
            command = [sys.executable, "-m", "pip", "download", *options, *_platform(release.file)]
            return [*command, "--dest", str(scratch), "-r", str(requirements)]
        case Registry.NPM:
            options = ["--silent", "--ignore-scripts", "--pack-destination", os.fspath(scratch)]
            return ["npm", "pack", *options, f"{release.name}@{release.version}"]
        case Registry.DEBIAN:
            return ["apt-get", "download", "--quiet", debian]
        case Registry.DEBIAN_SOURCE:
            return ["apt-get", "source", "--quiet", "--download-only", "--only-source", "--tar-only", debian]


def _platform(wheel: str) -> list[str]:
    """The options that have pip take this wheel, whatever machine this is; its name says for which it was made."""
    python, abi, platforms = wheel.removesuffix(".whl").split("-")[-3:]
    options = [part for platform in platforms.split(".") for part in ("--platform", platform)]
    return [*options, "--implementation", python[:2], "--abi", abi, "--python-version", "3.11"]
