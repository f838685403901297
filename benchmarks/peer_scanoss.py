"""SCANOSS's winnowing, asked the accuracy benchmark's questions: their own fingerprints, counted in one file.

Asked as their service is: the WFP of a text (their package computes it: 30 normalized letters and digits a gram,
windows of 64 grams, CRC-32C) is looked up in those of the indexed files, and a file that shares at least HITS different
hashes with the text is a match. `all_extensions` keeps them from passing over texts of less than 256 bytes. The OSS
Review Toolkit's documented configuration wants five hits; with two, it finds a third more of these short functions.

Optional: it is no dependency of the project and stands in a folder of its own. Knows nothing of the guard.
"""

from __future__ import annotations

import importlib
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PACKAGE = "scanoss-winnowing==0.8.0"
HITS = 2
"""Different hashes that a text must share with one file."""
PARAMETERS = f"SCANOSS: {PACKAGE}, at least {HITS} equal WFP hashes in one file"


def install_command(folder: Path) -> str:
    """How to have it below `folder`, beside no environment."""
    return f"python -m pip install --target {folder} {PACKAGE}"


class ScanossWinnowing:
    """WFP hashes of indexed files, and the owners of the files that share enough of them with a text."""

    def __init__(self, winnowing: Any, hits: int = HITS) -> None:  # noqa: ANN401 - their package ships no types
        self._winnowing = winnowing
        self._hits = hits
        self._files: list[str] = []
        self._places: defaultdict[str, list[int]] = defaultdict(list)

    @classmethod
    def installed(cls, folder: Path, hits: int = HITS) -> ScanossWinnowing | None:
        """One that is ready to index, or None if the package stands neither below `folder` nor beside the project."""
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.append(str(folder))
            importlib.invalidate_caches()
        try:
            module = importlib.import_module("scanoss_winnowing.winnowing")
        except ImportError:
            return None
        return cls(module.Winnowing(all_extensions=True, quiet=True), hits)

    def index(self, files: Mapping[str, Iterable[tuple[str, str]]]) -> None:
        """Add the files (path, text) of each owner."""
        for owner, some in files.items():
            for path, text in some:
                number = len(self._files)
                self._files.append(owner)
                for name in self.hashes(text, path):
                    self._places[name].append(number)

    def owners(self, text: str, prefix: str = "") -> set[str]:
        """Owners of a file that shares enough hashes with the text and what stands before it."""
        shared = Counter(number for name in self.hashes(prefix + text) for number in self._places.get(name, ()))
        return {self._files[number] for number, count in shared.items() if count >= self._hits}

    def hashes(self, text: str, path: str = "question.py") -> set[str]:
        """The different hashes of a text's WFP, eight hexadecimal digits each."""
        lines = self._winnowing.wfp_for_contents(path, False, text.encode()).splitlines()  # noqa: FBT003 - their form
        return {name for line in lines if line[:1].isdigit() for name in line.partition("=")[2].split(",")}
