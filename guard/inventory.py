"""The inventory: what an index holds of each owner. Knows the layout of guard.scripts, but no text and no key."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from guard.types import Owner

if TYPE_CHECKING:
    from guard.index import Index

BATCH = 256
"""Documents counted in one round trip."""


@dataclass(frozen=True, slots=True)
class OwnerStatistics:
    """What the index holds of one owner."""

    owner: str
    documents: int
    tokens: int
    fragments: int


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
        owners = writer.hgetall("cr:owner-ids")
        counts = tuple(_statistics_of(writer, Owner.parse(name.decode()), id_) for name, id_ in sorted(owners.items()))
        memory = int(writer.info("memory")["used_memory"])
        version = int(writer.get("cr:version") or 0)
    return IndexStatistics(counts, memory, version, stamp.index_id, stamp.schema, stamp.scheme)


def _statistics_of(writer: Any, owner: Owner, id_: bytes) -> OwnerStatistics:  # noqa: ANN401 - redis-py's types are for text
    documents = tokens = fragments = 0
    entries = writer.hscan_iter(b"cr:paths:" + id_, count=BATCH)
    while batch := list(islice(entries, BATCH)):
        pipe = writer.pipeline(transaction=False)
        for _, entry in batch:
            pipe.get(b"cr:d:" + entry[:3] + id_)
            pipe.getrange(b"cr:f:" + entry[:3] + id_, 0, 1)
        answers = pipe.execute()
        documents += len(batch)
        tokens += sum(_tokens(record) for record in answers[0::2])
        fragments += sum(
            struct.unpack("<H", count)[0] for count in answers[1::2] if len(count) == struct.calcsize("<H")
        )
    return OwnerStatistics(str(owner), documents, tokens, fragments)


def _tokens(record: bytes | None) -> int:
    """The tokens of a document; none if its record is damaged, which is for `verify` to say."""
    try:
        return int(json.loads(record or b"{}").get("tokens", 0))
    except (ValueError, TypeError, AttributeError):
        return 0
