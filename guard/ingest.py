"""Ingestion: source trees into the index, by several processes, resumable. Knows no accounts and no terminal.

Every document is one atomic write that a keyed hash of its text makes idempotent: a run that was interrupted is simply
run again, and takes up where it stopped. Every process writes to the store itself; only counts come back.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guard.corpus import list_files
from guard.crew import work_together
from guard.index_address import PATIENCE, IndexAddress
from guard.intake import Intake, IntakeTrade, Item, Outcome
from guard.skips import Skipped, SkipReason
from guard.standing import Standing
from guard.types import Owner, OwnerKind
from guard.withdrawal import withdraw_expired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from guard.index import Index
    from guard.tree import Tree

__all__ = ["PATIENCE", "IndexAddress", "IngestReport", "Progress", "helpers_for", "in_pieces", "ingest"]

PIECE = 32
"""Files that a process takes at a time."""
INLINE = 8_000_000
"""Up to so many bytes of new source are done about as soon as another process has started."""


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

    `jobs` is the number of processes, this one among them, 0 for one a core. `ttl`: seconds from the end
    of this run for which the owner's code counts; None leaves it as it is. Whose time is over is withdrawn first.
    What was written until an error stays, and the next run goes on from there.

    Raises:
        CorpusError: the tree cannot be read, or `prune` would empty it.
        IngestError: a process that helped died.
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
        trade, helpers = IntakeTrade(address, tree), helpers_for(items, jobs)
        with (
            Intake.opened(tree, index, digester) as intake,
            closing(work_together(trade, intake, in_pieces(items), helpers, what=str(tree.root))) as results,
        ):
            for outcomes in results:
                for outcome in outcomes:
                    _note(report, standing, outcome)
                    size += outcome.size
                done += len(outcomes)
                if outcomes:
                    progress(Progress(done, len(items), size))
        report.removed = _remove_stale(index, standing, prune=prune)
        if ttl is not None:
            for owner in _known(index, tree.owner):
                index.expire(owner, time.time() + ttl)
    report.seconds = time.perf_counter() - started
    return report


def in_pieces(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The files as a process takes them, a few at a time."""
    return (items[first : first + PIECE] for first in range(0, len(items), PIECE))


def helpers_for(items: Sequence[Item], jobs: int) -> int:
    """How many processes are to help this one, where `jobs` are asked for (0: one a core)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A file that is known already is most likely unchanged, and is only hashed.
    new = sum(item.size for item in items if not item.known)
    return 0 if new <= INLINE else min(jobs or cores, -(-len(items) // PIECE)) - 1


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


def _items(standing: Standing, report: IngestReport) -> Iterator[Item]:
    tree = standing.tree
    for entry in list_files(tree.root):
        if isinstance(entry, Skipped):
            report.skipped[entry.reason] += 1
            standing.note_skipped(entry.path, entry.reason)
        elif tree.exclude.isdisjoint(Path(entry.path).parts):
            yield Item(entry.path, entry.size, standing.contents(entry.path))


def _note(report: IngestReport, standing: Standing, outcome: Outcome) -> None:
    if outcome.skipped:
        report.skipped[outcome.skipped] += 1
        standing.note_skipped(outcome.relative, outcome.skipped)
        return
    standing.note(outcome.relative, outcome.owner)
    report.added += outcome.written
    report.unchanged += not outcome.written
    report.tokens += outcome.tokens
    report.fragments += outcome.fragments
    report.size += outcome.size if outcome.written else 0
    owner = Owner.parse(outcome.owner)
    if owner.kind is OwnerKind.LICENSED:
        report.licenses[owner.license or ""] += 1
