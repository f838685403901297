"""A source tree and whose it is: the names of its documents and their owners. Knows no index and no store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from guard.license_detection import TreeLicense, detect_license
from guard.types import Owner

if TYPE_CHECKING:
    from pathlib import Path

LICENSE_HEAD = 8_000
"""Characters of a file in which its licence is looked for."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree to ingest and whose it is. For a licensed corpus whose owner has no fixed licence, `detected` finds it.

    `name` is the first part of its documents' paths, for trees whose folders have the same name; a folder's own name
    where it is empty.
    """

    root: Path
    owner: Owner
    detected: TreeLicense | None = None
    exclude: frozenset[str] = frozenset()
    name: str = ""

    @classmethod
    def with_detected_licenses(cls, root: Path, name: str, *, scan: bool = False) -> Tree:
        """A licensed corpus in which every file has the licence that the tree states for it; `scan`: see there."""
        return cls(root, Owner.licensed(name, "LicenseRef-unknown"), detect_license(root, scan=scan))

    def path_of(self, relative: str) -> str:
        """The document's path: the tree's name in front, so that two trees of one owner do not collide."""
        if self.root.is_file():
            return f"{self.name}/{relative}" if self.name else relative
        return f"{self.name or _folder_name(self.root.absolute())}/{relative}"

    def holds(self, path: str) -> bool:
        """Whether the document at `path` is, or was, a file of this tree."""
        return path == self.path_of(self.root.name) if self.root.is_file() else path.startswith(self.path_of(""))

    def owner_of(self, relative: str, text: str) -> Owner:
        """Whose document a file is."""
        if self.detected is None:
            return self.owner
        return Owner.licensed(self.owner.name, self.detected.of(relative, text[:LICENSE_HEAD]))


@lru_cache(maxsize=64)
def _folder_name(root: Path) -> str:
    """What an absolute path's folder is called, asked once: every file of the tree is named after it."""
    return root.resolve().name
