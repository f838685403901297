"""From a source tree to a server's index: files are read and fingerprinted here, and only digests are sent.

Several processes make digests while this one sends them. What the server has already is not sent again, so an
interrupted run is simply run again. Knows no HTTP and no terminal.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from guard.corpus import list_files
from guard.crew import work_together
from guard.digest import Digester
from guard.errors import CorpusError
from guard.ingest import IngestReport, Progress, helpers_for, in_pieces
from guard.intake import Item, Outcome, digested
from guard.lane import Lane
from guard.secret import IndexKey
from guard.skips import Skipped, SkipReason
from guard.standing import KEPT, Standing
from guard.tree import Tree
from guard.wire import encode, encode_batch
from service.errors import RemoteError
from service.remote import made_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from guard.stamp import Stamp
    from service.index_schemas import PutReply
    from service.path_names import SentTree
    from service.remote import RemoteIndex

BATCH_BYTES = 1 << 20
"""About how much is sent at a time, if the server takes as much."""
BATCH_DOCUMENTS = 128
OVERHEAD = 1024
"""Bytes of a batch around its digests, at most."""
AHEAD = 2
"""Batches that may be on their way while more is made ready."""


def send(
    remote: RemoteIndex,
    key: IndexKey,
    tree: SentTree,
    *,
    jobs: int = 0,
    prune: bool = False,
    ttl: int | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> IngestReport:
    """Add or update every source file of a tree; with `prune`, also withdraw documents whose files are gone.

    `jobs`: processes that read and digest, this one among them, 0 for one a core. `ttl`: seconds from the end of this
    run for which the organization's code counts; None leaves it as it is.

    Raises:
        IndexMismatchError: the server's index has another key than `key`, another scheme or schema.
        CorpusError: the tree cannot be read, or `prune` would empty it.
        IngestError: a process that helped died.
        RemoteError: the server refuses or stays away; what was sent until then stays.
    """
    started = time.perf_counter()
    report = IngestReport()
    limit = remote.require(key).max_batch_bytes
    standing = Standing(tree, {tree.owner: remote.documents()})
    items = list(_items(standing, report))
    if prune and not items:
        _refuse_emptiness(standing, tree)
    trade = _Digesting(key.secret, tree)
    done = size = 0
    with (
        _posting(remote, made_with(key), limit, report) as outbox,
        trade.practised() as reader,
        closing(work_together(trade, reader, in_pieces(items), helpers_for(items, jobs), what=str(tree.root))) as work,
    ):
        for read in (each for some in work for each in some):
            _note(standing, report, read.outcome)
            if read.encoded:
                outbox.add(read)
            done, size = done + 1, size + read.outcome.size
            progress(Progress(done, len(items), size))
        outbox.finish()
    report.removed = remote.remove(standing.stale(prune=prune).get(tree.owner, []))
    if ttl is not None:
        remote.expire(ttl)
    report.seconds = time.perf_counter() - started
    return report


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read: what to send of it, if anything, and what became of it unless the server is faster."""

    outcome: Outcome
    name: str = ""
    encoded: bytes = b""


@dataclass(frozen=True, slots=True)
class _Digesting:
    """Making digests of a tree's files, here or in another process. It opens no connection."""

    key: bytes = field(repr=False)
    tree: SentTree

    @contextmanager
    def practised(self) -> Iterator[_Reader]:
        yield _Reader(self.tree, Digester(IndexKey(self.key)))


@dataclass(frozen=True, slots=True)
class _Reader:
    tree: SentTree
    digester: Digester

    def take(self, piece: Sequence[Item]) -> list[_Read]:
        return [self._read(item) for item in piece]

    def rest(self) -> list[_Read]:
        return []

    def _read(self, item: Item) -> _Read:
        made = digested(self.tree, item, self.digester)
        if isinstance(made, Outcome):
            return _Read(made)
        return _Read(made.outcome(written=True), made.digest.path, encode(made.digest))


@dataclass(slots=True)
class _Outbox:
    """Digests that wait to be sent together, and batches that are on their way, one after the other."""

    remote: RemoteIndex
    made_with: Stamp
    limit: int
    report: IngestReport
    lane: Lane[PutReply]
    waiting: list[bytes] = field(default_factory=list)
    size: int = OVERHEAD

    def add(self, read: _Read) -> None:
        """Put in the digest of a file."""
        needed = len(read.encoded) + 4
        if OVERHEAD + needed > self.limit:
            message = (
                f"the fingerprints of {read.name} take {needed} bytes, more than the server takes: ask its operator "
                f"to raise CLEANROOM_MAX_INDEX_BYTES from {self.limit}"
            )
            raise RemoteError(message)
        if self.size + needed > min(self.limit, BATCH_BYTES) or len(self.waiting) == BATCH_DOCUMENTS:
            self._post()
            self._await(AHEAD)
        self.waiting.append(read.encoded)
        self.size += needed

    def finish(self) -> None:
        """Send what waits, and wait until all has arrived."""
        self._post()
        self._await(0)

    def _post(self) -> None:
        if self.waiting:
            batch = encode_batch(self.made_with, self.waiting)
            self.lane.do(partial(self.remote.put, batch))
        self.waiting, self.size = [], OVERHEAD

    def _await(self, most: int) -> None:
        """Wait until no more than `most` batches are on their way."""
        for reply in self.lane.done(most):
            self.report.added += reply.written
            self.report.unchanged += reply.unchanged


@contextmanager
def _posting(remote: RemoteIndex, made_with: Stamp, limit: int, report: IngestReport) -> Iterator[_Outbox]:
    """An outbox; left because of an error, it sends no more than what is on its way."""
    lane: Lane[PutReply]
    with Lane.opened("cleanroom-sending") as lane:
        yield _Outbox(remote, made_with, limit, report, lane)


def _items(standing: Standing, report: IngestReport) -> Iterator[Item]:
    for entry in list_files(standing.tree.root):
        if isinstance(entry, Skipped):
            _note_skipped(standing, report, entry.path, entry.reason)
        else:
            yield Item(entry.path, entry.size, standing.contents(entry.path))


def _note(standing: Standing, report: IngestReport, outcome: Outcome) -> None:
    """Count a file that was read; whether the server wrote what is sent of it, its answer tells."""
    if outcome.skipped:
        _note_skipped(standing, report, outcome.relative, outcome.skipped)
        return
    standing.note(outcome.relative, outcome.owner)
    if not outcome.written:
        report.unchanged += 1
        return
    report.tokens += outcome.tokens
    report.fragments += outcome.fragments
    report.size += outcome.size


def _note_skipped(standing: Standing, report: IngestReport, path: str, reason: SkipReason) -> None:
    report.skipped[reason] += 1
    standing.note_skipped(path, reason)
    if reason in KEPT:
        # It may stand there under its plain path, too.
        standing.unread.add(Tree.path_of(standing.tree, path))


def _refuse_emptiness(standing: Standing, tree: SentTree) -> None:
    """An unmounted disk looks like an empty tree."""
    count = sum(tree.holds(path) for path in standing.known[tree.owner])
    if count:
        message = (
            f"{tree.root} has no source file left, but the server has {count} documents of it: if they are to go, say "
            f"so with `cleanroom index remove --server URL --path {Tree.path_of(tree, '')}`"
        )
        raise CorpusError(message)
