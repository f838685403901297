"""Public code to learn from: packages pinned by version and hash, fetched by their registries' own clients, unpacked.

What is pinned stands in `public_code.csv`: permissively licensed packages of many fields, none of which is measured by
the benchmarks or carries a copy of one that is. Knows nothing of models.
"""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from guard.languages import language_of
from training.archives import unpack
from training.errors import PublicCodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LIST: Final = "public_code.csv"
_REASON: Final = 500
"""Characters of a client's complaint that are passed on."""
_DECLARATIONS: Final = (".d.ts", ".d.mts", ".d.cts", ".pyi")
"""Types without code: a compiler wrote them, or they describe another project's."""

LANGUAGES: Final[dict[str, frozenset[str]]] = {
    "python": frozenset({"python"}),
    "javascript": frozenset({"javascript"}),
    "typescript": frozenset({"typescript"}),
    "java": frozenset({"java"}),
    "go": frozenset({"go"}),
    "rust": frozenset({"rust"}),
    # A header says of neither which of the two it is.
    "cpp": frozenset({"c", "cpp"}),
}
"""The languages of the list, and what guard.languages calls the files that count for each."""


class Registry(StrEnum):
    """Where a package is published, which says by which client it is fetched."""

    PYPI = "pypi"
    NPM = "npm"
    DEBIAN = "debian"
    DEBIAN_SOURCE = "debian-source"


@dataclass(frozen=True, slots=True)
class PublicPackage:
    """A row of the list: the archive `file` of this version has this SHA-256. `license` is an SPDX expression."""

    language: str
    registry: Registry
    name: str
    version: str
    license: str
    sha256: str
    file: str

    @property
    def tree(self) -> str:
        """What its source folder is called."""
        return f"{self.name.lstrip('@').replace('/', '+')}-{self.version.replace(':', '+')}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """How far fetching is: packages done, of how many, and the one that is next."""

    done: int
    total: int
    name: str


def pinned(language: str) -> tuple[PublicPackage, ...]:
    """The packages of one language, in the order of the list.

    Raises:
        PublicCodeError: the list has no package of that language.
    """
    lines = (files(__package__) / _LIST).read_text(encoding="utf-8").splitlines()
    packages = tuple(_package(row) for row in csv.DictReader(lines) if row["language"] == language)
    if not packages:
        message = f"no public code is listed for {language!r}: choose one of {', '.join(LANGUAGES)}, or name trees"
        raise PublicCodeError(message)
    return packages


def _package(row: dict[str, str]) -> PublicPackage:
    known = (row[name] for name in ("name", "version", "license", "sha256", "file"))
    return PublicPackage(row["language"], Registry(row["registry"]), *known)


def fetch(
    packages: Sequence[PublicPackage], folder: Path, *, progress: Callable[[Fetched], None] = lambda _: None
) -> tuple[Path, ...]:
    """The source tree of each package, at `folder`/language/name-version; what is there already is not fetched again.

    Archives stay in `folder`/archives, so that a run that was stopped goes on where it was.

    Raises:
        PublicCodeError: a client fails or is missing, or an archive is not the one that was pinned.
    """
    trees = []
    for done, package in enumerate(packages):
        progress(Fetched(done, len(packages), package.name))
        tree = folder / package.language / package.tree
        if not tree.is_dir():
            unpack(_archive(package, folder / "archives" / package.registry), tree, _wanted(package.language))
        trees.append(tree)
    progress(Fetched(len(packages), len(packages), ""))
    return tuple(trees)


def _wanted(language: str) -> Callable[[str], bool]:
    known = LANGUAGES[language]
    return lambda path: language_of(path) in known and not path.endswith(_DECLARATIONS)


def _archive(package: PublicPackage, folder: Path) -> Path:
    """The verified archive of a package."""
    archive = folder / package.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not archive.is_file():
            _download(package, folder)
        with archive.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{archive} cannot be written or read ({error.strerror}): name another folder with --download"
        raise PublicCodeError(message) from error
    if sha256 != package.sha256:
        message = (
            f"{archive} is not what {package.name} {package.version} was when it was chosen (SHA-256 {sha256}): "
            "delete it and run again; if it is so again, do not use it"
        )
        raise PublicCodeError(message)
    return archive


def _download(package: PublicPackage, folder: Path) -> None:
    """Have the registry's client fetch the archive into `folder`."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        command = _command(package, scratch)
        client = "pip" if package.registry is Registry.PYPI else command[0]
        try:
            run = subprocess.run(command, cwd=scratch, capture_output=True, text=True, errors="replace", check=False)
        except FileNotFoundError as error:
            message = f"{package.name} is fetched by {client}, which is not on the PATH: install it, run again"
            raise PublicCodeError(message) from error
        if run.returncode or not (scratch / package.file).is_file():
            reason = (run.stderr or run.stdout).strip()[-_REASON:] or f"no {package.file} came"
            message = (
                f"{client} could not download {package.name} {package.version}: {reason}\n"
                f"{_REMEDIES[package.registry]}, or put {package.file} into {folder} yourself, then run again"
            )
            raise PublicCodeError(message)
        (scratch / package.file).replace(folder / package.file)


_REMEDIES: Final = {
    Registry.PYPI: "Check the network or pip's index (`pip config list`)",
    Registry.NPM: "Check the network or npm's registry (`npm config list`)",
    Registry.DEBIAN: "Run `apt-get update`; Debian 12's list of packages is needed",
    Registry.DEBIAN_SOURCE: "Run `apt-get update` with Debian 12's `deb-src` entries in the list of sources",
}


def _command(package: PublicPackage, scratch: Path) -> list[str]:
    release = f"{package.name}={package.version}"
    match package.registry:
        case Registry.PYPI:
            options = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "--only-binary", ":all:"]
            requirements = scratch / "requirements.txt"
            requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", "utf-8")
            command = [sys.executable, "-m", "pip", "download", *options, *_platform(package.file)]
            return [*command, "--dest", str(scratch), "-r", str(requirements)]
        case Registry.NPM:
            specification = f"{package.name}@{package.version}"
            return [
                "npm",
                "pack",
                "--silent",
                "--ignore-scripts",
                "--pack-destination",
                os.fspath(scratch),
                specification,
            ]
        case Registry.DEBIAN:
            return ["apt-get", "download", "--quiet", release]
        case Registry.DEBIAN_SOURCE:
            return ["apt-get", "source", "--quiet", "--download-only", "--only-source", "--tar-only", release]


def _platform(wheel: str) -> list[str]:
    """The options that have pip take this wheel, whatever machine this is; its name says for which it was made."""
    python, abi, platforms = wheel.removesuffix(".whl").split("-")[-3:]
    options = [part for platform in platforms.split(".") for part in ("--platform", platform)]
    return [*options, "--implementation", python[:2], "--abi", abi, "--python-version", "3.11"]
