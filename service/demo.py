"""The demonstration's corpora: three real projects as organizations and a GPL one, fetched from PyPI by pip.

Knows nothing of the index; it leaves source trees in a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from published.errors import PublishedCodeError
from published.releases import Release, source_tree
from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Project:
    """A project as published, which holds the file `sample`."""

    release: Release
    sample: str

    @property
    def slug(self) -> str:
        """What the organization or corpus is called here."""
        return self.release.name


ORGANIZATIONS = (
    Project(
        Release.wheel("google-auth", "2.62.2", "e9bcdb0679b6a4369ac327c5c59f06d92f7b4cd2624e7100294c14632f55a36b"),
        "google/auth/_helpers.py",
    ),
    Project(
        Release.wheel("azure-core", "1.41.0", "522b4011e8180b1a3dcd2024396a4e7fe9ac37fb8597db47163d230b5efe892d"),
        "azure/core/polling/_poller.py",
    ),
    Project(
        Release.wheel("s3transfer", "0.19.3", "24eb7535804306355e31c952a90022bf5b2f9d760f9a11062c7493a217c08553"),
        "s3transfer/bandwidth.py",
    ),
)
RESTRICTED = Project(
    Release.wheel("pylint", "4.1.4", "b39fcc762ec4a7fe385d01b8e170fd996847297cdc0e3850bdda1435c74cfd95"),
    "pylint/checkers/symilar.py",
)
ARCHIVES = "archives"
"""The folder, beside the projects, in which the wheels stay."""

IDIOM = """\
import argparse


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    with open(args.path) as file:
        for line in file:
            print(line.strip())


if __name__ == "__main__":
    main()
"""
"""What everybody writes, and the guard must let pass."""


def fetch(projects: tuple[Project, ...], folder: Path, say: Callable[[str], None]) -> dict[Project, Path]:
    """Unpacked source trees of the projects below `folder`; those that are there already are not fetched again.

    Raises SetupError when pip cannot fetch one, or what it fetched is not what was published.
    """
    trees = {}
    for project in projects:
        release, tree = project.release, folder / project.slug
        if not tree.is_dir():
            say(f"fetching {release.name} {release.version} from PyPI")
        try:
            trees[project] = source_tree(release, tree, folder / ARCHIVES, lambda _: True)
        except PublishedCodeError as error:
            message = f"{error} (`cleanroom demo` goes on where it stopped)"
            raise SetupError(message) from error
    return trees
