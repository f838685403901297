"""The audit: whether the parts of an index agree with each other, and setting right what can be set right.

Goes through the whole index in steps that each take a bounded amount of the store's time, while others go on reading
and writing: first the documents, then all buckets, whose entries are counted for each document, and whatever does not
agree is looked at once more before it is called damage. Knows the layout of guard.layout, but no text, no key and no
policy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from guard import audit_scripts, buckets, withdrawal
from guard.census import SLICE, Census, Document, Findings
from guard.layout import (
    GONE,
    OWNERS,
    PATHS,
    PENDING,
    RECORD,
    VERSION,
    back_list,
    bucket_keys,
    document_id,
    document_key,
)
from guard.records import DocumentRecord
from guard.scripts import FINISH, TAKE_BACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from guard.index import Index
    from guard.programs import Call

BATCH = 256
"""Commands sent at a time."""
_PAGE = 500
_UNFINISHED = "unfinished documents"

_Item = TypeVar("_Item")


@dataclass(slots=True)
class AuditReport:
    """What an audit found. `mended` says whether it was also set right.

    `lost_documents` have a path but no readable record, `incomplete_documents` lack postings or their list of buckets:
    both have to be read again from their source, which the next `ingest` does once they are mended. `stray_documents`
    are not reached by any path; `ownerless_documents` belong to nobody known; `orphan_postings` point to no document;
    `malformed_postings` are buckets that are not made of entries; `half_owners` stand in one of two tables;
    `miscounted_tokens` is by how much the counter is wrong, and is not looked at when the index changed under the audit
    (`changed`). `unfinished_documents` stand in the journal, of a run that is at work or was interrupted: no damage,
    for no check sees them.
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
    unfinished_documents: int = 0
    changed: bool = False

    @property
    def sound(self) -> bool:
        """Whether the index is as it should be now: nothing was found, or all of it could be mended on the spot."""
        if self.mended:
            return not (self.lost_documents or self.incomplete_documents or self.ownerless_documents)
        return not any(count for name, count in self.findings() if name != _UNFINISHED)

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
            (_UNFINISHED, self.unfinished_documents),
        ]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {"sound": self.sound, **asdict(self)}


def verify(index: Index, *, mend: bool = False) -> AuditReport:
    """Look for damage in the whole index; with `mend`, set right what can be without the sources.

    Documents whose list of buckets was lost may need a second run to be mended.

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
        self._programs = index.programs
        self._mend = mend
        self._generation = index.programs.generation
        # redis-py types replies as bytes or text; this client answers bytes only.
        self._writer: Any = index.store.writer
        self._report = AuditReport(mended=mend)
        self._census = Census(index)
        self._leaving = 0  # tokens of withdrawn documents whose records are yet to be dropped

    def run(self) -> AuditReport:
        """Owners first, whom documents need; then documents, then the buckets that say what they lack."""
        report = self._report
        report.half_owners = self._ask(audit_scripts.AUDIT_OWNERS, [()])[0]
        stuck = self._end_what_was_interrupted()
        version = int(self._writer.get(VERSION) or 0)
        documents = list(self._documents())
        report.documents = len(documents)
        strays = self._strays({document.id for document in documents})
        found = self._census.take(documents)
        report.postings, report.malformed_postings = found.entries, len(found.malformed)
        self._drop_malformed(found.malformed)
        for document in found.suspects:
            self._judge(document, found.places(document.id))
        self._orphans(found.strangers - {document.id for document in documents} - strays, found)
        for key in stuck:
            self._count(key, found, take=True)
            self._programs.main(FINISH, key, self._generation)
        # What mending takes out counts as a change; any other means that somebody else was at work.
        version += (report.stray_documents + report.ownerless_documents) if self._mend else 0
        tokens = self._leaving + sum(document.record.tokens for document in documents if document.record)
        wrong = self._ask(audit_scripts.AUDIT_TOKENS, [(version, tokens)])[0]
        report.changed, report.miscounted_tokens = wrong is None, wrong or 0
        return report

    def _end_what_was_interrupted(self) -> list[bytes]:
        """With `mend`, finish what the journal holds; answer the documents of it whose list of buckets is lost."""
        self._report.unfinished_documents = self._writer.hlen(PENDING)
        if not self._mend:
            return []
        withdrawal.sweep(self._index)
        self._index.writer.clean()
        lists = back_list(self._generation)
        return [key for key in self._writer.hkeys(PENDING) if not _is_list(self._writer.get(lists + key))]

    def _documents(self) -> Iterator[Document]:
        """All documents of all owners that are known; those of others are counted, and with `mend` taken back."""
        known, gone = self._writer.hkeys(OWNERS), set(self._writer.hkeys(GONE))
        for table in sorted(set(self._writer.scan_iter(match=PATHS + b"*", count=_PAGE))):
            owner = table.removeprefix(PATHS)
            if owner in known:
                yield from self._census.documents(owner)
            elif owner in gone:
                leaving = self._census.documents(owner)
                self._leaving += sum(document.record.tokens for document in leaving if document.record)
            else:
                self._ownerless(owner)

    def _ownerless(self, owner: bytes) -> None:
        for batch in _batches(self._writer.hscan_iter(PATHS + owner, count=_PAGE)):
            self._report.ownerless_documents += len(batch)
            if self._mend:
                self._index.writer.remove_all(owner, [path for path, _ in batch])
            else:
                self._census.ignored.update(document_id(owner + entry[:3]) for _, entry in batch)

    def _strays(self, known: set[int]) -> set[int]:
        """Documents of which something is there though no path leads to it."""
        found: set[int] = set()
        ignored = self._census.ignored
        for prefix in (RECORD, back_list(self._generation)):
            for batch in _batches(self._writer.scan_iter(match=prefix + b"*", count=_PAGE)):
                keys = [key.removeprefix(prefix) for key in batch]
                keys = [key for key in keys if document_id(key) not in known | found | ignored]
                paths = [_path(self._text(RECORD + key)) for key in keys]
                calls = [(key, path, self._generation) for key, path in zip(keys, paths, strict=True)]
                strays = [key for key, stray in zip(keys, self._ask(audit_scripts.STRAY, calls), strict=True) if stray]
                found.update(document_id(key) for key in strays)
                if self._mend:
                    self._index.writer.give_up(strays)
        self._report.stray_documents = len(found)
        return found

    def _text(self, key: bytes) -> bytes:
        return self._writer.get(key) or b"" if self._writer.type(key) == b"string" else b""

    def _drop_malformed(self, malformed: list[int]) -> None:
        if self._mend and malformed:
            keys = bucket_keys(np.array(malformed, dtype=np.int64), self._generation)
            for shard, part in self._programs.parts(np.array(malformed, dtype=np.int64), SLICE):
                self._programs.spread(audit_scripts.DROP_BUCKETS, [(shard, (keys[part].tobytes(),))])

    def _judge(self, document: Document, places: NDArray[np.int64]) -> None:
        """Look once more at a document that seems to be damaged."""
        read = (document.owner, document.path, self._generation)
        answer = self._ask(audit_scripts.READ_DOCUMENT, [read])[0]
        if answer is None or answer[0] != document.entry:
            return  # removed or replaced since
        again = Document.of(document.owner, document.path, *answer)
        if again.record is None:
            self._report.lost_documents += 1
            record = DocumentRecord(document.path.decode("utf-8", "surrogateescape"), "", 0, 0, len(places))
            self._reset(again, record.to_bytes(), buckets.encoded(np.unique(places)))
            return
        lacking = again.stands_in is None or self._lacks(again, again.record.entries, again.stands_in)
        if lacking and self._ask(audit_scripts.READ_DOCUMENT, [read])[0] == answer:
            self._report.incomplete_documents += 1
            self._reset(again, b"", b"")

    def _lacks(self, document: Document, entries: int, stands_in: NDArray[np.int64]) -> bool:
        """Whether entries of a document are missing from the buckets that it should stand in."""
        held = self._census.held(document.key, stands_in)
        return int(held.sum()) != entries or not held.all()

    def _reset(self, document: Document, record: bytes, listed: bytes) -> None:
        if self._mend:
            call = (document.owner, document.path, document.entry, self._generation, record, listed)
            self._ask(audit_scripts.RESET_DOCUMENT, [call])

    def _orphans(self, strangers: set[int], found: Findings) -> None:
        """Entries of documents of which nothing is known: counted anew, for they may have been taken back meanwhile."""
        keys = [document_key(number) for number in sorted(strangers - self._census.ignored)]
        unknown = self._ask(audit_scripts.UNKNOWN, [(key,) for key in keys])
        for key, orphan in zip(keys, unknown, strict=True):
            if orphan:
                self._report.orphan_postings += self._count(key, found, take=self._mend)

    def _count(self, key: bytes, found: Findings, *, take: bool) -> int:
        """How many entries of a document stand where it was found; with `take`, they are taken out."""
        places = np.unique(found.places(document_id(key)))
        keys = bucket_keys(places, self._generation)
        calls = [(shard, (key, keys[part].tobytes(), int(take))) for shard, part in self._programs.parts(places, SLICE)]
        return sum(self._programs.spread(TAKE_BACK, calls))

    def _ask(self, script: str, calls: list[Call]) -> list[Any]:
        return self._programs.main_all(script, [(int(self._mend), *call) for call in calls])


def _path(record: bytes) -> str:
    try:
        return DocumentRecord.from_bytes(record).path
    except ValueError:
        return ""


def _is_list(value: bytes | None) -> bool:
    try:
        buckets.decoded(value or b"")
    except ValueError:
        return False
    return True


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
