"""Public code to learn from: packages pinned by version and hash, fetched by their registries' own clients, unpacked.

What is pinned stands in `public_code.csv`: permissively licensed packages of many fields, none of which is measured by
the benchmarks or carries a copy of one that is. Knows nothing of models.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from guard.languages import language_of
from published.errors import PublishedCodeError
from published.releases import Registry, Release, source_tree
from training.errors import PublicCodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_LIST: Final = "public_code.csv"
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


@dataclass(frozen=True, slots=True)
class PublicPackage:
    """A row of the list. `license` is an SPDX expression."""

    language: str
    license: str
    release: Release


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
    release = Release(Registry(row["registry"]), *(row[name] for name in ("name", "version", "sha256", "file")))
    return PublicPackage(row["language"], row["license"], release)


def fetch(
    packages: Sequence[PublicPackage], folder: Path, *, progress: Callable[[Fetched], None] = lambda _: None
) -> tuple[Path, ...]:
    """The source tree of each package, at `folder`/language/name-version; what is there already is not fetched again.

    Archives stay in `folder`/archives, so that a run that was stopped goes on where it was.

    Raises:
        PublicCodeError: a client fails or is missing, or an archive is not the one that was pinned or is damaged.
    """
    trees = []
    for done, package in enumerate(packages):
        release = package.release
        progress(Fetched(done, len(packages), release.name))
        tree, archives = folder / package.language / release.tree, folder / "archives" / release.registry
        try:
            trees.append(source_tree(release, tree, archives, _wanted(package.language)))
        except PublishedCodeError as error:
            raise PublicCodeError(str(error)) from error
    progress(Fetched(len(packages), len(packages), ""))
    return tuple(trees)


def _wanted(language: str) -> Callable[[str], bool]:
    known = LANGUAGES[language]
    return lambda path: language_of(path) in known and not path.endswith(_DECLARATIONS)
