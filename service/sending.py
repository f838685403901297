"""From a source tree to a server's index: files are read and fingerprinted here, and only digests are sent.

What the server has already is not sent again, so an interrupted run is simply run again. Knows no HTTP and no terminal.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.corpus import ListedFile, list_files, load
from guard.digest import Digester
from guard.errors import CorpusError
from guard.ingest import IngestReport, Progress
from guard.skips import Skipped
from guard.standing import KEPT, Standing
from guard.tree import Tree
from guard.wire import encode, encode_batch
from service.errors import RemoteError
from service.remote import made_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guard.digest import Digest
    from guard.secret import IndexKey
    from guard.stamp import Stamp
    from service.path_names import SentTree
    from service.remote import RemoteIndex

BATCH_BYTES = 1 << 20
"""About how much is sent at a time, if the server takes as much."""
BATCH_DOCUMENTS = 128
OVERHEAD = 1024
"""Bytes of a batch around its digests, at most."""


def send(
    remote: RemoteIndex,
    key: IndexKey,
    tree: SentTree,
    *,
    limit: int,
    prune: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> IngestReport:
    """Add or update every source file of a tree; with `prune`, also withdraw documents whose files are gone.

    `limit` is how many bytes of a batch the server takes. `remote.require(key)` must have been asked before.

    Raises:
        CorpusError: the tree cannot be read, or `prune` would empty it.
        RemoteError: the server refuses or stays away; what was sent until then stays.
    """
    started = time.perf_counter()
    report, digester = IngestReport(), Digester(key)
    standing = Standing(tree, {tree.owner: remote.documents()})
    files = list(_files(standing, report))
    if prune and not files:
        _refuse_emptiness(standing, tree)
    outbox = _Outbox(remote, made_with(key), limit, report)
    size = 0
    for done, file in enumerate(files, 1):
        _take(file, standing, digester, outbox)
        size += file.size
        progress(Progress(done, len(files), size))
    outbox.flush()
    report.removed = remote.remove(standing.stale(prune=prune).get(tree.owner, []))
    report.seconds = time.perf_counter() - started
    return report


@dataclass(slots=True)
class _Outbox:
    """Digests that wait to be sent together."""

    remote: RemoteIndex
    made_with: Stamp
    limit: int
    report: IngestReport
    waiting: list[bytes] = field(default_factory=list)
    size: int = OVERHEAD

    def add(self, digest: Digest, source: int) -> None:
        """Put in a digest of a file of `source` bytes."""
        encoded = encode(digest)
        needed = len(encoded) + 4
        if OVERHEAD + needed > self.limit:
            message = (
                f"the fingerprints of {digest.path} take {needed} bytes, more than the server takes: ask its operator "
                f"to raise CLEANROOM_MAX_INDEX_BYTES from {self.limit}"
            )
            raise RemoteError(message)
        if self.size + needed > min(self.limit, BATCH_BYTES) or len(self.waiting) == BATCH_DOCUMENTS:
            self.flush()
        self.waiting.append(encoded)
        self.size += needed
        self.report.tokens += digest.tokens
        self.report.fragments += len(digest.fragments)
        self.report.size += source

    def flush(self) -> None:
        """Send what waits."""
        if self.waiting:
            reply = self.remote.put(encode_batch(self.made_with, self.waiting))
            self.report.added += reply.written
            self.report.unchanged += reply.unchanged
        self.waiting, self.size = [], OVERHEAD


def _files(standing: Standing, report: IngestReport) -> Iterator[ListedFile]:
    for entry in list_files(standing.tree.root):
        if isinstance(entry, Skipped):
            _note_skipped(standing, report, entry)
        else:
            yield entry


def _take(file: ListedFile, standing: Standing, digester: Digester, outbox: _Outbox) -> None:
    """Read one file and, unless it stands in the index as it is, put its digest into the outbox."""
    tree = standing.tree
    source = load(tree.root, file.path)
    if isinstance(source, Skipped):
        _note_skipped(standing, outbox.report, source)
        return
    standing.note(file.path, str(tree.owner))
    if standing.contents(file.path).get(str(tree.owner)) == digester.content(source.text):
        outbox.report.unchanged += 1
        return
    outbox.add(digester.digest(tree.path_of(file.path), source.text, source.language), source.size)


def _note_skipped(standing: Standing, report: IngestReport, entry: Skipped) -> None:
    report.skipped[entry.reason] += 1
    standing.note_skipped(entry.path, entry.reason)
    if entry.reason in KEPT:
        # It may stand there under its plain path, too.
        standing.unread.add(Tree.path_of(standing.tree, entry.path))


def _refuse_emptiness(standing: Standing, tree: SentTree) -> None:
    """An unmounted disk looks like an empty tree."""
    count = sum(tree.holds(path) for path in standing.known[tree.owner])
    if count:
        message = (
            f"{tree.root} has no source file left, but the server has {count} documents of it: if they are to go, say "
            f"so with `cleanroom index remove --server URL --path {Tree.path_of(tree, '')}`"
        )
        raise CorpusError(message)
