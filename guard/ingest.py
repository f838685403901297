"""Ingestion: source trees into the index, by several processes, resumable. Knows no accounts and no terminal.

Every document is one atomic write that a keyed hash of its text makes idempotent: a run that was interrupted is simply
run again, and takes up where it stopped. Workers write to the store themselves; only counts come back.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guard.corpus import list_files, load
from guard.digest import Digest, Digester
from guard.errors import IngestError
from guard.index import Index
from guard.secret import IndexKey
from guard.skips import Skipped, SkipReason
from guard.standing import Standing
from guard.store import open_store
from guard.types import Owner, OwnerKind
from guard.withdrawal import withdraw_expired

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from guard.tree import Tree

CHUNK = 32
"""Files a worker takes at a time."""
TOGETHER = 8
"""Files that are written in one go, while the next are digested."""
INLINE = 64
"""Up to this many files it is quicker not to start workers."""
PATIENCE = 10.0
"""Seconds to wait for an answer for which a check would not wait: others may be writing large documents."""


@dataclass(frozen=True, slots=True)
class IndexAddress:
    """Where an index is and how to open it, in a form that a worker process can be given."""

    url: str | None
    home: Path
    key: bytes = field(repr=False)

    @contextmanager
    def opened(self) -> Iterator[tuple[Index, Digester]]:
        """The index, made if the store is new, and the digester of its key."""
        key = IndexKey(self.key)
        with open_store(self.url, self.home, check_timeout=PATIENCE) as store:
            index = Index(store, key, self.home)
            index.create()
            yield index, Digester(key)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: files done of all that are listed, and bytes of source read so far."""

    done: int
    total: int
    size: int


@dataclass(slots=True)
class IngestReport:
    """What a run did. Documents, tokens and bytes count what was written; `seconds` is wall time."""

    added: int = 0
    unchanged: int = 0
    removed: int = 0
    tokens: int = 0
    fragments: int = 0
    size: int = 0
    seconds: float = 0.0
    skipped: Counter[SkipReason] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        numbers = {name: getattr(self, name) for name in self.__slots__ if name not in ("skipped", "licenses")}
        skipped = {reason.value: count for reason, count in self.skipped.items()}
        return {**numbers, "skipped": skipped, "licenses": dict(self.licenses)}


@dataclass(frozen=True, slots=True)
class _Item:
    relative: str
    size: int
    known: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class _Outcome:
    relative: str
    owner: str = ""
    written: bool = False
    tokens: int = 0
    fragments: int = 0
    size: int = 0
    skipped: SkipReason | None = None


@dataclass(frozen=True, slots=True)
class _Digested:
    item: _Item
    owner: Owner
    digest: Digest


def ingest(
    address: IndexAddress,
    tree: Tree,
    *,
    jobs: int = 0,
    prune: bool = False,
    ttl: float | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> IngestReport:
    """Add or update every source file of a tree; with `prune`, also remove documents whose files are gone.

    `jobs` is the number of worker processes, 0 for one a core. `ttl`: seconds from the end of this run for which the
    owner's code counts; None leaves it as it is. Whose time is over is withdrawn first. What was written until an error
    stays, and the next run goes on from there.

    Raises:
        CorpusError: the tree cannot be read, or `prune` would empty it.
        IngestError: a worker process died.
        RefusalError: the store does not answer, or holds another index.
    """
    started = time.perf_counter()
    report = IngestReport()
    with address.opened() as (index, digester):
        standing = _standing(index, tree)
        items = list(_items(standing, report))
        if prune and not items:
            standing.refuse_emptiness()
        done = size = 0
        with closing(_outcomes(address, tree, items, jobs, (index, digester))) as chunks:
            for outcomes in chunks:
                for outcome in outcomes:
                    _count(report, outcome)
                    if outcome.skipped:
                        standing.note_skipped(outcome.relative, outcome.skipped)
                    else:
                        standing.note(outcome.relative, outcome.owner)
                    size += outcome.size
                done += len(outcomes)
                progress(Progress(done, len(items), size))
        report.removed = _remove_stale(index, standing, prune=prune)
        if ttl is not None:
            for owner in _known(index, tree.owner):
                index.expire(owner, time.time() + ttl)
    report.seconds = time.perf_counter() - started
    return report


def _standing(index: Index, tree: Tree) -> Standing:
    """What the index holds of a tree, once what earlier runs left unfinished is out of the way."""
    withdraw_expired(index)
    standing = Standing(tree, _known(index, tree.owner))
    index.writer.clean([id_ for id_ in map(index.known_id, standing.known) if id_])
    return standing


def _remove_stale(index: Index, standing: Standing, *, prune: bool) -> int:
    stale = standing.stale(prune=prune)
    return sum(index.writer.remove_all(index.owner_id(owner), paths) for owner, paths in stale.items())


def _known(index: Index, owner: Owner) -> dict[Owner, dict[str, bytes]]:
    """What stands in the index under this owner's name, under whatever licence."""
    return {
        other: index.paths(other) for other in index.owners() if (other.kind, other.name) == (owner.kind, owner.name)
    }


def _items(standing: Standing, report: IngestReport) -> Iterator[_Item]:
    tree = standing.tree
    for entry in list_files(tree.root):
        if isinstance(entry, Skipped):
            report.skipped[entry.reason] += 1
            standing.note_skipped(entry.path, entry.reason)
        elif tree.exclude.isdisjoint(Path(entry.path).parts):
            yield _Item(entry.path, entry.size, standing.contents(entry.path))


def _outcomes(
    address: IndexAddress, tree: Tree, items: list[_Item], jobs: int, opened: tuple[Index, Digester]
) -> Generator[list[_Outcome], None, None]:
    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    jobs = jobs or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))
    # A file that is known already is most likely unchanged, and hashing it is quicker than starting workers.
    if jobs == 1 or sum(not item.known for item in items) <= INLINE:
        yield from (_ingest_chunk(tree, chunk, *opened) for chunk in chunks)
        return
    # Spawned, not forked: the parent holds connections and a lock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _Worker.start, (address, tree)) as pool:
        try:
            yield from pool.map(_Worker.run, chunks)
        except BrokenProcessPool as error:
            message = (
                f"a process that indexed {tree.root} died (killed, or out of memory): run the command again, with "
                "fewer --jobs if memory is short; what was indexed stays"
            )
            raise IngestError(message) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class _Worker:
    """The state of one worker process."""

    tree: Tree
    opened: tuple[Index, Digester]

    @classmethod
    def start(cls, address: IndexAddress, tree: Tree) -> None:
        """Open the index once; the process's end closes it."""
        cls.tree = tree
        cls.opened = address.opened().__enter__()

    @classmethod
    def run(cls, chunk: list[_Item]) -> list[_Outcome]:
        """Ingest one chunk."""
        return _ingest_chunk(cls.tree, chunk, *cls.opened)


def _ingest_chunk(tree: Tree, chunk: list[_Item], index: Index, digester: Digester) -> list[_Outcome]:
    """Digest the files of a chunk a few at a time, while those before them are being written."""
    outcomes: list[_Outcome] = []
    owner_ids: dict[str, bytes] = {}
    with ThreadPoolExecutor(1, "cleanroom-writing") as pool:
        writing: list[Future[list[_Outcome]]] = []
        for first in range(0, len(chunk), TOGETHER):
            made = [_digested(tree, item, digester) for item in chunk[first : first + TOGETHER]]
            outcomes += [each for each in made if isinstance(each, _Outcome)]
            digested = [each for each in made if isinstance(each, _Digested)]
            for each in digested:
                if str(each.owner) not in owner_ids:
                    owner_ids[str(each.owner)] = index.owner_id(each.owner)
            if writing:
                outcomes += writing.pop().result()
            writing.append(pool.submit(_written, index, digested, dict(owner_ids)))
        outcomes += [outcome for each in writing for outcome in each.result()]
    return outcomes


def _digested(tree: Tree, item: _Item, digester: Digester) -> _Digested | _Outcome:
    """A file that is to be written, or what became of one that is not."""
    source = load(tree.root, item.relative)
    if isinstance(source, Skipped):
        return _Outcome(item.relative, skipped=source.reason, size=item.size)
    owner = tree.owner_of(item.relative, source.text)
    if item.known.get(str(owner)) == digester.content(source.text):
        return _Outcome(item.relative, str(owner), size=item.size)
    return _Digested(item, owner, digester.digest(tree.path_of(item.relative), source.text, source.language))


def _written(index: Index, files: list[_Digested], owner_ids: dict[str, bytes]) -> list[_Outcome]:
    written = index.put_all([(owner_ids[str(each.owner)], each.digest) for each in files])
    return [
        _Outcome(
            each.item.relative, str(each.owner), new, each.digest.tokens, len(each.digest.fragments), each.item.size
        )
        if new
        else _Outcome(each.item.relative, str(each.owner), size=each.item.size)  # another run was faster
        for each, new in zip(files, written, strict=True)
    ]


def _count(report: IngestReport, outcome: _Outcome) -> None:
    if outcome.skipped:
        report.skipped[outcome.skipped] += 1
        return
    report.added += outcome.written
    report.unchanged += not outcome.written
    report.tokens += outcome.tokens
    report.fragments += outcome.fragments
    report.size += outcome.size if outcome.written else 0
    owner = Owner.parse(outcome.owner)
    if owner.kind is OwnerKind.LICENSED:
        report.licenses[owner.license or ""] += 1
