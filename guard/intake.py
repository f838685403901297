"""From listed files to documents in the index, as one of several processes does it. Knows no tree but by its files.

A file is read, judged and digested while those before it are being written: a writer of its own waits for the store.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from guard.corpus import load
from guard.lane import Lane
from guard.skips import Skipped, SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from guard.digest import Digest, Digester
    from guard.index import Index
    from guard.index_address import IndexAddress
    from guard.tree import Tree
    from guard.types import Owner

TOGETHER = 8
"""Documents that are written in one go."""
AHEAD = 2
"""How often so many may wait for the writer."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file to take in. `size` in bytes; `known`: the content hashes under which it stands in the index, by owner."""

    relative: str
    size: int
    known: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file. Without `skipped` it stands in the index as `owner`'s, `written` now or before.

    `size` is in bytes; `tokens` and `fragments` count what was written.
    """

    relative: str
    owner: str = ""
    written: bool = False
    tokens: int = 0
    fragments: int = 0
    size: int = 0
    skipped: SkipReason | None = None


@dataclass(frozen=True, slots=True)
class Digested:
    """A file that is to be written."""

    item: Item
    owner: Owner
    digest: Digest

    def outcome(self, *, written: bool) -> Outcome:
        """What became of it; not `written` if another run was faster."""
        size, owner = self.item.size, str(self.owner)
        if not written:
            return Outcome(self.item.relative, owner, size=size)
        return Outcome(self.item.relative, owner, written, self.digest.tokens, len(self.digest.fragments), size)


def digested(tree: Tree, item: Item, digester: Digester) -> Digested | Outcome:
    """A file that is to be written, or what became of one that is not."""
    source = load(tree.root, item.relative)
    if isinstance(source, Skipped):
        return Outcome(item.relative, skipped=source.reason, size=item.size)
    owner = tree.owner_of(item.relative, source.text)
    content = digester.content(source.text)
    if item.known.get(str(owner)) == content:
        return Outcome(item.relative, str(owner), size=item.size)
    return Digested(item, owner, digester.digest(tree.path_of(item.relative), source.text, source.language))


class Intake:
    """Takes files of one tree into an index, several at a time. Use `Intake.opened`."""

    def __init__(self, tree: Tree, index: Index, digester: Digester, lane: Lane[list[Outcome]]) -> None:
        self._tree = tree
        self._index = index
        self._digester = digester
        self._writing = lane
        self._waiting: list[Digested] = []
        self._owner_ids: dict[Owner, bytes] = {}

    @classmethod
    @contextmanager
    def opened(cls, tree: Tree, index: Index, digester: Digester) -> Iterator[Intake]:
        """An intake; left because of an error, it writes no more than what it has begun."""
        lane: Lane[list[Outcome]]
        with Lane.opened("cleanroom-writing") as lane:
            yield cls(tree, index, digester, lane)

    def take(self, piece: Sequence[Item]) -> list[Outcome]:
        """Take in a few files; answers what has become of them and of earlier ones by now."""
        outcomes: list[Outcome] = []
        for item in piece:
            made = digested(self._tree, item, self._digester)
            if isinstance(made, Outcome):
                outcomes.append(made)
                continue
            self._waiting.append(made)
            if len(self._waiting) == TOGETHER:
                self._write()
                outcomes += self._written(AHEAD)
        return outcomes

    def rest(self) -> list[Outcome]:
        """What became of the files that were still under way."""
        if self._waiting:
            self._write()
        return self._written(0)

    def _write(self) -> None:
        for owner in {each.owner for each in self._waiting} - self._owner_ids.keys():
            self._owner_ids[owner] = self._index.owner_id(owner)
        documents = [(self._owner_ids[each.owner], each.digest) for each in self._waiting]
        self._writing.do(partial(self._put, self._waiting, documents))
        self._waiting = []

    def _put(self, files: list[Digested], documents: list[tuple[bytes, Digest]]) -> list[Outcome]:
        written = self._index.put_all(documents)
        return [each.outcome(written=new) for each, new in zip(files, written, strict=True)]

    def _written(self, most: int) -> list[Outcome]:
        """What has been written, once no more than `most` times something waits."""
        return [outcome for outcomes in self._writing.done(most) for outcome in outcomes]


@dataclass(frozen=True, slots=True)
class IntakeTrade:
    """Taking files of a tree into the index at an address, in a process that has yet to open it."""

    address: IndexAddress
    tree: Tree

    @contextmanager
    def practised(self) -> Iterator[Intake]:
        """An intake with connections of its own."""
        with self.address.opened() as (index, digester), Intake.opened(self.tree, index, digester) as intake:
            yield intake
