"""The demonstration: three real projects as organizations, a GPL one, and what the model of the three is asked.

pip vendors requests, so that some code really is two organizations'. Projects are fetched from PyPI by pip. Knows
nothing of the index; it leaves source trees in a folder.
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
    """A project as published, which holds the file `sample`.

    `parts`: the folders of its wheel that are indexed as trees of their own, "" being all of it.
    """

    release: Release
    sample: str
    parts: tuple[str, ...] = ("",)

    @property
    def slug(self) -> str:
        """What the organization or corpus is called here."""
        return self.release.name


REQUESTS = Project(
    Release.wheel("requests", "2.34.2", "2a0d60c172f83ac6ab31e4554906c0f3b3588d37b5cb939b1c061f4907e278e0"),
    "requests/structures.py",
)
PIP = Project(
    Release.wheel("pip", "26.3", "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"),
    "pip/_internal/utils/hashes.py",
    # Vendored folders are left out unless they are named, and this one is what two organizations have.
    ("pip", "pip/_vendor/requests"),
)
S3TRANSFER = Project(
    Release.wheel("s3transfer", "0.19.3", "24eb7535804306355e31c952a90022bf5b2f9d760f9a11062c7493a217c08553"),
    "s3transfer/bandwidth.py",
)
ORGANIZATIONS = (S3TRANSFER, REQUESTS, PIP)
RESTRICTED = Project(
    Release.wheel("pylint", "4.1.4", "b39fcc762ec4a7fe385d01b8e170fd996847297cdc0e3850bdda1435c74cfd95"),
    "pylint/checkers/symilar.py",
)
"""Indexed, and never trained on: what a model that ships recites must be free to ship."""
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


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, and the organizations that send it. `title` says what it is."""

    title: str
    prompt: str
    askers: tuple[str, ...]
    max_tokens: int = 160


@dataclass(frozen=True, slots=True)
class Question:
    """The lines `first` to `last` of the file `path` of a project, to be continued for several organizations."""

    project: Project
    path: str
    first: int
    last: int
    askers: tuple[Project, ...]
    note: str

    def of(self, trees: dict[Project, Path]) -> Asked:
        """The question with its prompt, which is read from the project's tree."""
        lines = (trees[self.project] / self.path).read_text(encoding="utf-8").splitlines(keepends=True)
        return Asked(
            f"{self.path}, continued behind line {self.last} ({self.note}):",
            # Tokenizers take a line's end together with the indentation behind it: that is for the model to write.
            "".join(lines[self.first - 1 : self.last]).rstrip(),
            tuple(project.slug for project in self.askers),
        )


QUESTIONS = (
    Question(REQUESTS, "requests/hooks.py", 1, 22, (REQUESTS, PIP, S3TRANSFER), "pip vendors it"),
    Question(PIP, "pip/_internal/utils/retry.py", 1, 28, (PIP, REQUESTS), "pip's alone"),
)
EVERYBODYS = Asked("What everybody writes, continued:", "def fibonacci(n):\n", (S3TRANSFER.slug,), max_tokens=48)


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
