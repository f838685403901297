"""What the index holds of a tree before it is read again, and what of that is to go. Knows no files and no store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.errors import CorpusError
from guard.skips import SkipReason

if TYPE_CHECKING:
    from guard.tree import Tree
    from guard.types import Owner

KEPT = frozenset({SkipReason.UNREADABLE, SkipReason.OVERSIZE, SkipReason.UNDECODABLE})
"""What is there and only cannot be read: code that was protected until now must not lose that to a wrong file mode, to
a table that was pasted into it, or to an encoding."""


@dataclass(slots=True)
class Standing:
    """What the index held of a tree before a run, and what the run has seen of it."""

    tree: Tree
    known: dict[Owner, dict[str, bytes]]
    seen: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    def contents(self, relative: str) -> dict[str, bytes]:
        """The content hashes under which a file stands in the index, by owner."""
        path = self.tree.path_of(relative)
        return {str(owner): paths[path] for owner, paths in self.known.items() if path in paths}

    def note(self, relative: str, owner: str) -> None:
        """Remember whose document a file has become."""
        self.seen[self.tree.path_of(relative)] = owner

    def note_skipped(self, relative: str, reason: SkipReason) -> None:
        """Remember that a file, or a folder whose name ends in "/", was left out."""
        if reason in KEPT:
            self.unread.add(self.tree.path_of(relative))

    def stale(self, *, prune: bool) -> dict[Owner, list[str]]:
        """What now has another licence and, with `prune`, what is gone from under the tree's root."""
        found: dict[Owner, list[str]] = {}
        for owner, paths in self.known.items():
            for path in paths:
                moved = path in self.seen and self.seen[path] != str(owner)
                gone = path not in self.seen and self.tree.holds(path) and not self._unread(path)
                if moved or (prune and gone):
                    found.setdefault(owner, []).append(path)
        return found

    def _unread(self, path: str) -> bool:
        """Whether the file at `path`, or a folder that it lies in, is there and was not read."""
        if path in self.unread:
            return True
        folders = path.split("/")[:-1]
        return any("/".join(folders[:depth]) + "/" in self.unread for depth in range(1, len(folders) + 1))

    def refuse_emptiness(self) -> None:
        """Raise CorpusError if documents of the tree stand in the index: an unmounted disk looks like an empty one."""
        count = sum(self.tree.holds(path) for paths in self.known.values() for path in paths)
        if count:
            message = (
                f"{self.tree.root} has no source file left, but {count} documents of it are indexed: if they are to "
                f"go, say so with `cleanroom index remove --owner {self.tree.owner} --path {self.tree.path_of('')}`"
            )
            raise CorpusError(message)
