"""The audit: whether the parts of an index agree with each other, and setting right what can be set right.

Goes through the whole index in steps that each take a bounded amount of memory and of the store's time, while others go
on reading and writing. Knows the layout of guard.scripts, but no text, no key and no policy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from redis.exceptions import ResponseError

from guard import minhash, scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from guard.index import Index

BATCH = 256
"""Commands sent at a time."""
_PAGE = 500
_KNOWN_LIMIT = 1_000_000
"""Documents remembered to be there, so that not every posting asks for its own."""
_POSTING = 8
_NAME = 6
"""Bytes of a fingerprint behind those that are its bucket's."""
_TAIL = 5
_PATHS = b"cr:paths:"

_Item = TypeVar("_Item")


@dataclass(slots=True)
class AuditReport:
    """What an audit found. `mended` says whether it was also set right.

    `lost_documents` have a path but no readable record, `incomplete_documents` lack postings or signatures: both have
    to be read again from their source, which the next `ingest` does once they are mended. `stray_documents` are not
    reached by any path; `ownerless_documents` belong to nobody known; `orphan_postings` point to no document;
    `malformed_postings` are values of the wrong size; `half_owners` stand in one of two tables; `miscounted_tokens` is
    by how much the counter is wrong, and is not looked at when the index changed under the audit (`changed`).
    """

    mended: bool
    documents: int = 0
    postings: int = 0
    lost_documents: int = 0
    incomplete_documents: int = 0
    stray_documents: int = 0
    ownerless_documents: int = 0
    orphan_postings: int = 0
    malformed_postings: int = 0
    half_owners: int = 0
    miscounted_tokens: int = 0
    changed: bool = False

    @property
    def sound(self) -> bool:
        """Whether the index is as it should be now: nothing was found, or all of it could be mended on the spot."""
        if self.mended:
            return not (self.lost_documents or self.incomplete_documents or self.ownerless_documents)
        return not any(count for _, count in self.findings())

    def findings(self) -> list[tuple[str, int]]:
        """Every kind of damage and how much there is of it."""
        return [
            ("lost documents", self.lost_documents),
            ("incomplete documents", self.incomplete_documents),
            ("stray documents", self.stray_documents),
            ("ownerless documents", self.ownerless_documents),
            ("orphan postings", self.orphan_postings),
            ("malformed postings", self.malformed_postings),
            ("half-known owners", self.half_owners),
            ("miscounted tokens", abs(self.miscounted_tokens)),
        ]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {"sound": self.sound, **asdict(self)}


def verify(index: Index, *, mend: bool = False) -> AuditReport:
    """Look for damage in the whole index; with `mend`, set right what can be without the sources.

    A document that lost both its record and its list of postings may need a second run to be mended.

    Raises:
        RefusalError: the store does not answer, or holds another index.
    """
    index.open()
    with index.store.refusing():
        return _Audit(index, mend=mend).run()


class _Audit:
    """One audit of one index."""

    def __init__(self, index: Index, *, mend: bool) -> None:
        self._index = index
        self._mend = mend
        # redis-py types replies as bytes or text; this client answers bytes only.
        self._writer: Any = index.store.writer
        self._report = AuditReport(mended=mend)
        self._present: set[bytes] = set()
        self._lost: set[bytes] = set()

    def run(self) -> AuditReport:
        """Owners first, whom documents need; postings before the documents that will miss them."""
        report = self._report
        report.half_owners = self._ask(scripts.AUDIT_OWNERS, [()])[0]
        buckets, tables = self._tables()
        for batch in _batches(buckets):
            self._audit_buckets(batch)
        version, tokens = int(self._writer.get("cr:version") or 0), 0
        known = self._writer.hgetall("cr:owners")
        for owner in (table.removeprefix(_PATHS) for table in tables):
            tokens += self._audit_documents(owner) if owner in known else self._audit_ownerless(owner)
        self._audit_strays()
        # What mending takes out counts as a change; any other means that somebody else was at work.
        version += (report.stray_documents + report.ownerless_documents) if self._mend else 0
        wrong = self._ask(scripts.AUDIT_TOKENS, [(version, tokens)])[0]
        report.changed, report.miscounted_tokens = wrong is None, wrong or 0
        return report

    def _tables(self) -> tuple[list[bytes], list[bytes]]:
        """The keys of all buckets of postings, at most 65,536, and of all tables of paths."""
        found = set(self._writer.scan_iter(match="cr:p*", count=_PAGE))
        tables = {key for key in found if key.startswith(_PATHS)}
        return sorted(key for key in found - tables if key.startswith(b"cr:p:")), sorted(tables)

    def _audit_buckets(self, buckets: list[bytes]) -> None:
        """Several buckets, a page of each at a time."""
        cursors = dict.fromkeys(buckets, 0)
        while cursors:
            pipe = self._writer.pipeline(transaction=False)
            asked = list(cursors)
            for bucket in asked:
                pipe.hscan(bucket, cursors[bucket], count=_PAGE)
            values = []
            for bucket, answer in zip(asked, pipe.execute(raise_on_error=False), strict=True):
                cursors[bucket], page = self._page(bucket, answer)
                values += [(bucket, name, value) for name, value in page.items()]
            self._audit_postings(values)
            cursors = {bucket: cursor for bucket, cursor in cursors.items() if cursor}

    def _page(self, bucket: bytes, answer: Any) -> tuple[int, dict[bytes, bytes]]:  # noqa: ANN401 - a reply or an error
        """Cursor and fields of one answer; none if what stands at the bucket's key is no bucket."""
        if isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer):
            self._report.malformed_postings += 1
            if self._mend:
                self._writer.delete(bucket)
            return 0, {}
        if isinstance(answer, Exception):
            raise answer
        return int(answer[0]), answer[1]

    def _audit_postings(self, values: list[tuple[bytes, bytes, bytes]]) -> None:
        """Values of buckets, each with bucket and field: ask again about those in which something seems wrong."""
        held = [_tails(value) for _, _, value in values]
        self._report.postings += sum(len(value) // _POSTING for _, _, value in values)
        gone = self._gone({tail for tails in held for tail in tails})
        suspects = [
            (bucket, name, b"".join(gone.intersection(tails)))
            for (bucket, name, value), tails in zip(values, held, strict=True)
            if not gone.isdisjoint(tails) or not value or len(value) % _POSTING or len(name) != _NAME
        ]
        for batch in _batches(suspects):
            for orphans in self._ask(scripts.AUDIT_POSTINGS, batch):
                self._report.malformed_postings += orphans < 0
                self._report.orphan_postings += max(0, orphans)

    def _gone(self, tails: set[bytes]) -> set[bytes]:
        """Those documents of which neither record nor list of postings is there."""
        if len(self._present) > _KNOWN_LIMIT:
            self._present.clear()
        unknown = tails - self._present
        for batch in _batches(unknown):
            pipe = self._writer.pipeline(transaction=False)
            for tail in batch:
                pipe.exists(b"cr:d:" + tail, b"cr:s:" + tail)
            self._present.update(tail for tail, there in zip(batch, pipe.execute(), strict=True) if there)
        return unknown - self._present

    def _audit_documents(self, owner: bytes) -> int:
        """Every document of one owner; answers how many tokens they have."""
        tokens, report = 0, self._report
        for batch in _batches(self._writer.hscan_iter(_PATHS + owner, count=_PAGE)):
            calls = [(owner, path, minhash.PERMUTATIONS, minhash.MIN_FRAGMENT) for path, _ in batch]
            for answer in self._ask(scripts.AUDIT_DOCUMENT, calls):
                if answer is None:
                    continue  # removed since
                state, tail, size = answer
                report.documents += 1
                report.incomplete_documents += state == b"incomplete"
                tokens += size
                if state == b"lost":
                    report.lost_documents += 1
                    self._lost.add(tail)
        return tokens

    def _audit_ownerless(self, owner: bytes) -> int:
        """The documents of an owner whose name is lost; answers how many tokens the index keeps of them: none."""
        for batch in _batches(self._writer.hscan_iter(_PATHS + owner, count=_PAGE)):
            self._report.ownerless_documents += len(batch)
            if self._mend:
                self._index.run_all(scripts.REMOVE, [(owner, path) for path, _ in batch])
        return 0

    def _audit_strays(self) -> None:
        found: set[bytes] = set()
        keys = self._writer.scan_iter(match="cr:[dsf]:*", count=_PAGE)
        for batch in _batches(key[-_TAIL:] for key in keys if len(key) == len(b"cr:d:") + _TAIL):
            tails = sorted(set(batch) - self._lost - found)
            strays = self._ask(scripts.AUDIT_STRAY, [(tail,) for tail in tails])
            found.update(tail for tail, stray in zip(tails, strays, strict=True) if stray)
        self._report.stray_documents = len(found)

    def _ask(self, script: str, calls: list[tuple[Any, ...]]) -> list[Any]:
        return self._index.run_all(script, [(int(self._mend), *call) for call in calls])


def _tails(value: bytes) -> list[bytes]:
    """The keys of the documents that a value's postings point to, each once."""
    whole = len(value) // _POSTING * _POSTING
    numbers = np.unique(np.frombuffer(value[:whole], dtype="<u8") >> np.uint64(24))
    return [int(number).to_bytes(_TAIL, "little") for number in numbers]


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
