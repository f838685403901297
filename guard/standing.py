"""What the index holds of a tree before it is read again, and what of that is to go. Knows no files and no store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.errors import CorpusError
from guard.skips import SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.tree import Tree
    from guard.types import Owner


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
        if reason is SkipReason.UNREADABLE:
            self.unread.add(self.tree.path_of(relative))

    def stale(self, *, prune: bool) -> Iterator[tuple[Owner, str]]:
        """What now has another licence and, with `prune`, what is gone from under the tree's root.

        What only cannot be read stays: code that was protected until now must not lose that to a wrong file mode.
        """
        unread = tuple(self.unread)
        for owner, paths in self.known.items():
            for path in paths:
                moved = path in self.seen and self.seen[path] != str(owner)
                gone = path not in self.seen and self.tree.holds(path) and not path.startswith(unread)
                if moved or (prune and gone):
                    yield owner, path

    def refuse_emptiness(self) -> None:
        """Raise CorpusError if documents of the tree stand in the index: an unmounted disk looks like an empty one."""
        count = sum(self.tree.holds(path) for paths in self.known.values() for path in paths)
        if count:
            message = (
                f"{self.tree.root} has no source file left, but {count} documents of it are indexed: if they are to "
                f"go, say so with `cleanroom index remove --owner {self.tree.owner} --path {self.tree.path_of('')}`"
            )
            raise CorpusError(message)
