"""The demonstration's corpora: three real projects as organizations and a GPL one, fetched from PyPI by pip.

Knows nothing of the index; it leaves source trees in a folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Project:
    """A project as published: `distribution`==`version`, whose wheel has this SHA-256 and holds the file `sample`."""

    distribution: str
    version: str
    sha256: str
    sample: str

    @property
    def slug(self) -> str:
        """What the organization or corpus is called here."""
        return self.distribution


ORGANIZATIONS = (
    Project(
        "google-auth",
        "2.62.2",
        "e9bcdb0679b6a4369ac327c5c59f06d92f7b4cd2624e7100294c14632f55a36b",
        "google/auth/_helpers.py",
    ),
    Project(
        "azure-core",
        "1.41.0",
        "522b4011e8180b1a3dcd2024396a4e7fe9ac37fb8597db47163d230b5efe892d",
        "azure/core/polling/_poller.py",
    ),
    Project(
        "s3transfer",
        "0.19.3",
        "24eb7535804306355e31c952a90022bf5b2f9d760f9a11062c7493a217c08553",
        "s3transfer/bandwidth.py",
    ),
)
RESTRICTED = Project(
    "pylint", "4.1.4", "b39fcc762ec4a7fe385d01b8e170fd996847297cdc0e3850bdda1435c74cfd95", "pylint/checkers/symilar.py"
)

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
    trees = {project: folder / project.slug for project in projects}
    missing = [project for project, tree in trees.items() if not tree.is_dir()]
    if missing:
        say(f"fetching {', '.join(f'{project.distribution} {project.version}' for project in missing)} from PyPI")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _download(missing, Path(scratch))
            for project in missing:
                _unpack(project, Path(scratch), trees[project])
    return trees


def _download(projects: list[Project], target: Path) -> None:
    """Let pip download the wheels, since it knows the user's index and proxy; it holds them to their hashes."""
    wanted = target / "requirements.txt"
    wanted.write_text(
        "".join(f"{each.distribution}=={each.version} --hash=sha256:{each.sha256}\n" for each in projects),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--dest", str(target), "--requirement", str(wanted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    except subprocess.TimeoutExpired:
        message = "pip did not fetch the demonstration's projects within 240 s: check the network, then try again"
        raise SetupError(message) from None
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), done.stderr[-300:])
        message = (
            f"pip could not fetch the demonstration's projects ({reason.strip()}): check the network and `pip config "
            "list`, make sure that `python -m pip` works here, then run `cleanroom demo` again"
        )
        raise SetupError(message)


def _unpack(project: Project, downloads: Path, tree: Path) -> None:
    stem = project.distribution.replace("-", "_")
    wheel = next(iter(downloads.glob(f"{stem}-*.whl")), None) or next(downloads.glob(f"{project.distribution}-*.whl"))
    draft = downloads / project.slug
    with zipfile.ZipFile(wheel) as archive:
        # zipfile drops leading slashes and ".." from names itself.
        archive.extractall(draft)
    # Moved as a whole, so that an interrupted run leaves no half tree.
    shutil.move(draft, tree)
