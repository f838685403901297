"""The audit: whether the parts of an index agree with each other, and setting right what can be set right.

Goes through the whole index in steps that each take a bounded amount of memory and of the store's time, while others go
on reading and writing. Knows the layout of guard.scripts, but no text, no key and no policy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

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
_TAIL = 5


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
    _lost: set[bytes] = field(default_factory=set, repr=False)

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
        counts = {name: value for name, value in asdict(self).items() if not name.startswith("_")}
        return {"sound": self.sound, **counts}


def verify(index: Index, *, mend: bool = False) -> AuditReport:
    """Look for damage in the whole index; with `mend`, set right what can be without the sources.

    What was taken twice over (a document's record and its list of postings) may need a second run to be mended.

    Raises:
        RefusalError: the store does not answer, or holds another index.
    """
    index.open()
    return _Audit(index, mend=mend).run()


class _Audit:
    """One audit of one index."""

    def __init__(self, index: Index, *, mend: bool) -> None:
        self._index = index
        self._mend = mend
        self._writer: Any = index.store.writer
        self._stamp = index.stamp
        self._report = AuditReport(mended=mend)
        self._present: set[bytes] = set()
        self._scripts = {text: self._writer.register_script(text) for text in _SCRIPTS}

    def run(self) -> AuditReport:
        report = self._report
        with self._index.store.refusing():
            (report.half_owners,) = self._ask(scripts.AUDIT_OWNERS, [()])
            buckets, tables = self._tables()
            self._audit_buckets(buckets)
            version, tokens = int(self._writer.get("cr:version") or 0), 0
            owners = self._writer.hgetall("cr:owners")
            for table in tables:
                tokens += self._audit_documents(table.removeprefix(b"cr:paths:"), known=table[9:] in owners)
            self._audit_strays()
            changes = (report.stray_documents + report.ownerless_documents) if self._mend else 0
            (wrong,) = self._ask(scripts.AUDIT_TOKENS, [(version + changes, tokens)])
            report.changed, report.miscounted_tokens = wrong is None, wrong or 0
        return report

    def _tables(self) -> tuple[list[bytes], list[bytes]]:
        """The keys of all buckets of postings, at most 65,536, and of all tables of paths."""
        found = {key for key in self._writer.scan_iter(match="cr:p*", count=_PAGE)}
        tables = {key for key in found if key.startswith(b"cr:paths:")}
        return sorted(key for key in found - tables if key.startswith(b"cr:p:")), sorted(tables)

    def _audit_buckets(self, buckets: list[bytes]) -> None:
        for batch in _batches(buckets):
            cursors = dict.fromkeys(batch, 0)
            while cursors:
                pages = self._pages(cursors)
                self._audit_postings([(key, name, value) for key, page in pages.items() for name, value in page.items()])

    def _pages(self, cursors: dict[bytes, int]) -> dict[bytes, dict[bytes, bytes]]:
        """The next page of each bucket; cursors that have come to their end are taken out."""
        pipe = self._writer.pipeline(transaction=False)
        asked = list(cursors.items())
        for key, cursor in asked:
            pipe.hscan(key, cursor, count=_PAGE)
        pages = {}
        for (key, _), answer in zip(asked, pipe.execute(raise_on_error=False), strict=True):
            if isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE"):
                self._report.malformed_postings += 1
                if self._mend:
                    self._writer.delete(key)
                del cursors[key]
                continue
            if isinstance(answer, Exception):
                raise answer
            cursors[key], pages[key] = answer
            if not cursors[key]:
                del cursors[key]
        return pages

    def _audit_postings(self, values: list[tuple[bytes, bytes, bytes]]) -> None:
        """Values of buckets, with bucket and field: ask again about those in which something seems wrong."""
        held = [_tails(value) for _, _, value in values]
        self._report.postings += sum(len(value) // _POSTING for _, _, value in values)
        gone = self._gone({tail for tails in held for tail in tails})
        suspects = [
            (bucket, name, b"".join(tail for tail in tails if tail in gone))
            for (bucket, name, value), tails in zip(values, held, strict=True)
            if not gone.isdisjoint(tails) or not value or len(value) % _POSTING or len(name) != 6  # noqa: PLR2004
        ]
        for batch in _batches(suspects):
            for orphans in self._ask(scripts.AUDIT_POSTINGS, batch):
                self._report.malformed_postings += orphans < 0
                self._report.orphan_postings += max(0, orphans)

    def _gone(self, tails: set[bytes]) -> set[bytes]:
        """Those documents that are not there."""
        if len(self._present) > _KNOWN_LIMIT:
            self._present.clear()
        for batch in _batches(tails - self._present):
            pipe = self._writer.pipeline(transaction=False)
            for tail in batch:
                # A document that has lost its record alone is found, and mended, by its path.
                pipe.exists(b"cr:d:" + tail, b"cr:s:" + tail)
            self._present.update(tail for tail, there in zip(batch, pipe.execute(), strict=True) if there)
        return tails - self._present

    def _audit_documents(self, owner: bytes, *, known: bool) -> int:
        """Every document of one owner; answers how many tokens they have."""
        tokens = 0
        entries = self._writer.hscan_iter(b"cr:paths:" + owner, count=_PAGE)
        for batch in _batches(path for path, _ in entries):
            if not known:
                self._report.ownerless_documents += len(batch)
                if self._mend:
                    self._ask(scripts.REMOVE, [(owner, path) for path in batch], flagged=False)
                continue
            arguments = [(owner, path, minhash.PERMUTATIONS, minhash.MIN_FRAGMENT) for path in batch]
            for answer in self._ask(scripts.AUDIT_DOCUMENT, arguments):
                if answer is not None:
                    tokens += self._count(*answer)
        return tokens

    def _count(self, state: bytes, tail: bytes, tokens: int) -> int:
        self._report.documents += 1
        if state == b"lost":
            self._report.lost_documents += 1
            self._report._lost.add(tail)
        self._report.incomplete_documents += state == b"incomplete"
        return tokens

    def _audit_strays(self) -> None:
        seen: set[bytes] = set()
        keys = self._writer.scan_iter(match="cr:[dsf]:*", count=_PAGE)
        for batch in _batches(key[len(b"cr:d:") :] for key in keys):
            tails = sorted({tail for tail in batch if len(tail) == _TAIL} - self._report._lost - seen)
            strays = self._ask(scripts.AUDIT_STRAY, [(tail,) for tail in tails])
            found = {tail for tail, stray in zip(tails, strays, strict=True) if stray}
            self._report.stray_documents += len(found)
            seen |= found

    def _ask(self, script: str, arguments: list[tuple[Any, ...]], *, flagged: bool = True) -> list[Any]:
        """Run one script for each of `arguments`, in one round trip."""
        if not arguments:
            return []
        pipe = self._writer.pipeline(transaction=False)
        for each in arguments:
            self._scripts[script](args=[self._stamp, *([int(self._mend)] if flagged else []), *each], client=pipe)
        answers: list[Any] = pipe.execute()
        return answers


_SCRIPTS = (
    scripts.AUDIT_OWNERS,
    scripts.AUDIT_POSTINGS,
    scripts.AUDIT_DOCUMENT,
    scripts.AUDIT_STRAY,
    scripts.AUDIT_TOKENS,
    scripts.REMOVE,
)
