"""The inventory: what an index holds of each owner. Knows the layout of guard.layout, but no text and no key."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from guard.layout import OWNER_IDS, PATHS, RECORD, VERSION
from guard.records import DocumentRecord
from guard.types import Owner

if TYPE_CHECKING:
    from guard.index import Index

BATCH = 256
"""Documents counted in one round trip."""


@dataclass(frozen=True, slots=True)
class OwnerStatistics:
    """What the index holds of one owner. `expires`: from when on its code counts no more, in seconds since 1970."""

    owner: str
    documents: int
    tokens: int
    fragments: int
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class IndexStatistics:
    """What the index holds. `memory` is what the whole store takes, in bytes; the rest is of the index's stamp."""

    owners: tuple[OwnerStatistics, ...]
    memory: int
    version: int
    index_id: str
    schema: int
    scheme: str

    @property
    def documents(self) -> int:
        """Documents of all owners."""
        return sum(each.documents for each in self.owners)

    @property
    def tokens(self) -> int:
        """Tokens of all documents."""
        return sum(each.tokens for each in self.owners)

    @property
    def fragments(self) -> int:
        """Signed fragments of all documents."""
        return sum(each.fragments for each in self.owners)

    def to_json(self) -> dict[str, Any]:
        """The statistics as JSON."""
        totals = {"documents": self.documents, "tokens": self.tokens, "fragments": self.fragments}
        return {**asdict(self), **totals}


def statistics(index: Index) -> IndexStatistics:
    """Count what the index holds, document by document.

    Raises:
        RefusalError: the store does not answer, or holds another index.
    """
    stamp = index.open()
    writer: Any = index.store.writer
    with index.store.refusing():
        owners = {Owner.parse(name.decode()): id_ for name, id_ in sorted(writer.hgetall(OWNER_IDS).items())}
        ends = index.expiries()
        counts = tuple(_statistics_of(index, owner, id_, ends.get(owner)) for owner, id_ in owners.items())
        memory = index.store.memory()
        version = int(writer.get(VERSION) or 0)
    return IndexStatistics(counts, memory, version, stamp.index_id, stamp.schema, stamp.scheme)


def statistics_of(index: Index, owner: Owner) -> OwnerStatistics:
    """Count what the index holds of one owner, document by document; nothing if it does not know the owner.

    Raises:
        RefusalError: the store does not answer, or holds another index.
    """
    index.open()
    id_ = index.known_id(owner)
    if id_ is None:
        return OwnerStatistics(str(owner), 0, 0, 0)
    with index.store.refusing():
        return _statistics_of(index, owner, id_, index.expiries().get(owner))


def page_of(index: Index, owner: Owner, cursor: int, count: int) -> tuple[dict[str, bytes], int]:
    """About `count` of an owner's documents with their keyed content hashes, and the cursor of the next page.

    The first page and the end have cursor 0. What stands there while all pages are read comes once at least.

    Raises:
        RefusalError: the store does not answer, or holds another index.
    """
    index.open()
    id_ = index.known_id(owner)
    if id_ is None:
        return {}, 0
    writer: Any = index.store.writer
    with index.store.refusing():
        following, table = writer.hscan(PATHS + id_, cursor, count=count)
    return {path.decode("utf-8", "replace"): value[3:] for path, value in table.items()}, int(following)


def _statistics_of(index: Index, owner: Owner, id_: bytes, expires: int | None) -> OwnerStatistics:
    writer: Any = index.store.writer  # redis-py types replies as bytes or text
    documents = tokens = fragments = 0
    entries = writer.hscan_iter(PATHS + id_, count=BATCH)
    while batch := list(islice(entries, BATCH)):
        records = [_record(value) for value in writer.mget([RECORD + id_ + entry[:3] for _, entry in batch])]
        documents += len(batch)
        tokens += sum(record.tokens for record in records if record)
        fragments += sum(record.fragments for record in records if record)
    return OwnerStatistics(str(owner), documents, tokens, fragments, expires)


def _record(value: bytes | None) -> DocumentRecord | None:
    """A document's record; none if it is damaged, which is for `verify` to say."""
    try:
        return DocumentRecord.from_bytes(value or b"")
    except ValueError:
        return None
