"""The census: every document as its owner's table has it, beside what all buckets hold of it. Judges nothing.

Buckets are read a few at a time; of each document only the number of its entries and a sum over its buckets are kept,
so that the memory it takes grows with the documents and not with their postings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from guard import buckets
from guard.audit_scripts import READ_BUCKETS
from guard.layout import (
    BUCKETS,
    ENTRY,
    IN_SHARD,
    PATHS,
    RECORD,
    SERIAL_BITS,
    back_list,
    bucket_keys,
    bucket_prefix,
    document_id,
)
from guard.records import DocumentRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from guard.index import Index

STEP = 1024
"""Buckets read in one call."""
SLICE = 500
"""Buckets of one document looked at in one call."""
_PAGE = 500
_PATH_ENTRY = 11


@dataclass(frozen=True, slots=True)
class Document:
    """A document that a path leads to. `record` and `stands_in` (its buckets) are None where they cannot be read."""

    owner: bytes
    path: bytes
    entry: bytes
    record: DocumentRecord | None
    stands_in: NDArray[np.int64] | None

    @classmethod
    def of(cls, owner: bytes, path: bytes, entry: bytes, record: bytes | None, listed: bytes | None) -> Self:
        """A document as the store holds it."""
        known = _record(record or b"")
        if len(entry) != _PATH_ENTRY or known is None or known.path.encode(errors="surrogateescape") != path:
            known = None
        return cls(owner, path, entry, known, _listed(listed or b""))

    @property
    def key(self) -> bytes:
        """The five bytes that stand for it."""
        return self.owner + self.entry[:3].ljust(3, b"\0")

    @property
    def id(self) -> int:
        """Its id."""
        return document_id(self.key)


@dataclass(slots=True)
class Findings:
    """What a census found. `strangers`: documents that have entries and were not among those it was given."""

    entries: int = 0
    malformed: list[int] = field(default_factory=list)
    suspects: list[Document] = field(default_factory=list)
    strangers: set[int] = field(default_factory=set)
    stray_entries: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = field(default_factory=list)

    def places(self, document: int) -> NDArray[np.int64]:
        """The buckets of a stranger's or a lost document's entries, one for each entry, sorted."""
        parts = [places[owners == document] for owners, places in self.stray_entries]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


class Census:
    """Takes the census of one index."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._programs = index.programs
        self._generation = index.programs.generation
        self.ignored: set[int] = set()  # documents of owners that nobody knows
        # redis-py types replies as bytes or text; this client answers bytes only.
        self._writer: Any = index.store.writer

    def documents(self, owner: bytes) -> Iterator[Document]:
        """All documents of one owner."""
        cursor = 0
        while True:
            cursor, page = self._writer.hscan(PATHS + owner, cursor, count=_PAGE)
            keys = [owner + entry[:3] for entry in page.values()]
            if keys:
                records = self._writer.mget([RECORD + key for key in keys])
                lists = self._writer.mget([back_list(self._generation) + key for key in keys])
                for (path, entry), record, listed in zip(page.items(), records, lists, strict=True):
                    yield Document.of(owner, path, entry, record, listed)
            if not cursor:
                return

    def take(self, documents: list[Document]) -> Findings:
        """Go through all buckets and compare them with what these documents should have there."""
        findings = Findings()
        sound = [document for document in documents if document.record and document.stands_in is not None]
        ids = np.array(sorted(document.id for document in sound), dtype=np.int64)
        counts, sums = np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.uint64)
        for at in range(0, BUCKETS, STEP):
            holders, places = self._read(at, findings)
            if not len(holders):
                continue
            findings.entries += len(holders)
            slots = np.searchsorted(ids, holders)
            known = slots < len(ids)
            known[known] = ids[slots[known]] == holders[known]
            np.add.at(counts, slots[known], 1)
            pairs = np.unique(np.stack([slots[known], places[known]]), axis=1)
            np.add.at(sums, pairs[0], _mixed(pairs[1]))
            if not known.all():
                findings.stray_entries.append((holders[~known], places[~known]))
                findings.strangers.update(np.unique(holders[~known]).tolist())
        for document in documents:
            slot = int(np.searchsorted(ids, document.id))
            if (
                document.record is None
                or document.stands_in is None
                or counts[slot] != document.record.entries
                or sums[slot] != _mixed(document.stands_in).sum()
            ):
                findings.suspects.append(document)
        return findings

    def held(self, key: bytes, stands_in: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many entries of one document each of these buckets holds now."""
        keys, wanted = bucket_keys(stands_in, self._generation), document_id(key)
        counts: list[int] = []
        for _, part in self._programs.parts(stands_in, SLICE):
            values = self._writer.mget([row.tobytes() for row in keys[part]])
            counts += [int((_holders(value) == wanted).sum()) if value else 0 for value in values]
        return np.array(counts, dtype=np.int64)

    def _read(self, at: int, findings: Findings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Document and bucket of every entry of STEP buckets."""
        shard, low = divmod(at, IN_SHARD)
        call = (bucket_prefix(shard, self._generation), low, low + STEP)
        answer = self._programs.spread(READ_BUCKETS, [(shard if self._index.store.sharded else None, call)])[0]
        places, whole = [], []
        for number, value in zip(answer[0::2], answer[1::2], strict=True):
            place = at - low + number
            if not isinstance(value, bytes) or len(value) % ENTRY:
                findings.malformed.append(place)
            else:
                places.append(place)
                whole.append(value)
        sizes = np.array([len(value) // ENTRY for value in whole], dtype=np.int64)
        return _holders(b"".join(whole)), np.repeat(np.array(places, dtype=np.int64), sizes)


def _holders(value: bytes) -> NDArray[np.int64]:
    """The document of every entry."""
    whole = len(value) // ENTRY * ENTRY
    raw = np.frombuffer(value[:whole], dtype=np.uint8).reshape(-1, ENTRY).astype(np.int64)
    owners, serials = raw[:, 3] | raw[:, 4] << 8, raw[:, 5] | raw[:, 6] << 8 | raw[:, 7] << 16
    holders: NDArray[np.int64] = owners << SERIAL_BITS | serials
    return holders


def _mixed(places: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Numbers that hardly ever have the sum of others (a step of SplitMix64: Steele, Lea & Flood 2014)."""
    mixed = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(27))


def _record(value: bytes) -> DocumentRecord | None:
    try:
        return DocumentRecord.from_bytes(value)
    except ValueError:
        return None


def _listed(value: bytes) -> NDArray[np.int64] | None:
    try:
        return buckets.decoded(value)
    except ValueError:
        return None
