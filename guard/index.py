"""The index: whose documents hold which fingerprints, in the store. Knows no text and makes no decision.

The layout of its keys is described in guard.layout. A check is one call of `lookup`, one round trip; `records` is a
second one, made only when there is something to confirm.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from guard import fingerprint, literals, minhash
from guard.errors import OwnerError, StoreUnavailableError
from guard.hits import DocumentId, Hits, owner_number, picked
from guard.layout import (
    COMPLETE,
    EPOCH,
    EXPIRY,
    GONE,
    OWNER_IDS,
    OWNERS,
    PATHS,
    RECORD,
    STAMP,
    VERSION,
    document_id,
    document_key,
)
from guard.looking import Looker
from guard.names import Names
from guard.owner_scripts import EXPIRE_AT, FORGET_OWNER, OWNER_ID
from guard.programs import Programs
from guard.records import DocumentRecord
from guard.secret import IndexKey, bind_index, bound_index
from guard.store import Stamp, Store
from guard.types import Owner
from guard.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from guard.digest import Digest

__all__ = ["DocumentId", "DocumentRecord", "Hits", "Index", "owner_number"]

SCHEMA = 2
LEXER = 2
"""Rises with every change that gives an old text new tokens."""
SCHEME = (
    f"lexer{LEXER} baker winnow{fingerprint.K}/{fingerprint.W} "
    f"minhash-{minhash.SCHEME}-{minhash.PERMUTATIONS}/{minhash.BANDS} "
    f"fragment{minhash.FRAGMENT}/{minhash.STRIDE}/{minhash.SHINGLE} "
    f"literals{literals.SIZE}/{literals.LEAST} veiled"
)


@dataclass(frozen=True, slots=True)
class _Owners:
    """Who is known, and whose code counts no more: as of one `epoch`."""

    epoch: bytes
    known: dict[int, Owner]
    gone: frozenset[int]
    expiry: dict[int, int]

    def left_out(self) -> set[int]:
        now = time.time()
        return {*self.gone, *(number for number, end in self.expiry.items() if end <= now)}


class Index:
    """One index in one store, under one key. Safe to share between threads."""

    def __init__(self, store: Store, key: IndexKey, home: Path) -> None:
        self.store = store
        self._home = home
        self._expected = Stamp(SCHEMA, SCHEME, key.check, "")
        self._stamp: Stamp | None = None
        self._owners = _Owners(b"", {}, frozenset(), {})
        # redis-py types replies as bytes or text; these clients answer bytes only.
        self._reader: Any = store.reader
        self._writer: Any = store.writer
        self._looker = Looker(store)
        self.programs = Programs(store, self.stamp, self.open)
        self._names = Names(key)
        self.writer = Writer(self.programs, self._names)

    def create(self) -> None:
        """Begin the index if the store is new and this home has never had another, else do as `open`."""
        if bound_index(self._home) is None:
            self.store.initialize(self._with_id(secrets.token_hex(16)))
        self.open()

    def open(self) -> Stamp:
        """Make sure that the store holds the index of this key, this version and this home; return its stamp.

        Raises:
            StoreEmptyError: it holds none, though this home had one, or none was ever made.
            StoreMismatchError: it holds another.
            StoreUnavailableError: it does not answer.
        """
        standing = self.store.require(self._with_id(bound_index(self._home) or ""))
        bind_index(self._home, standing.index_id)
        self._stamp = standing
        return standing

    def stamp(self) -> Stamp:
        """The stamp of the index, which is opened at first use."""
        return self._stamp or self.open()

    def lookup(self, names: NDArray[np.uint64], documents: Sequence[DocumentId] = ()) -> Hits:
        """Ask for many fingerprints in one round trip; raises what `open` raises when the index is not as it was.

        What is being written or taken back, and code of owners who are gone or whose time is over, is not among the
        hits. Records of `documents` come along.
        """
        stamp = self.stamp()
        found = self._looker.look(stamp, names, b"".join(map(document_key, documents)))
        if found.stamp != stamp.to_bytes():
            self.store.accept(stamp, found.stamp)
            self._garbage("the stamp of another index")  # pragma: no cover - `accept` raises; should it ever not
        try:
            which, veiled = picked(names, found.parts)
            postings = self._names.veil(names[which], veiled)
            records = _records(documents, found.records)
            hits = Hits(which, postings, int(found.version), int(found.tokens), records)
            hidden = [document_id(key) for key in found.pending]
        except ValueError:
            self._garbage("an answer that is none")
        return self._visible(hits, hidden, found.epoch) if len(hits.which) else hits

    def state(self) -> bytes:
        """All that a check asks of the index, as 32 bytes: while they are the same, so is what it would find.

        Nobody can tell from them what changed, or how often: the random id of the index is in them. Raises as `lookup`.
        """
        stamp = self.stamp()
        with self.store.refusing():
            found, *counters = self._reader.mget([STAMP, VERSION, EPOCH])
        if found != stamp.to_bytes():
            self.store.accept(stamp, found)
            self._garbage("the stamp of another index")  # pragma: no cover - as in `lookup`
        version, epoch = (counter or b"0" for counter in counters)
        if epoch != self._owners.epoch:
            self._owners = self._read_owners(epoch)
        # An owner's time can run out without a change: what was commons until then is not any more.
        over = ",".join(map(str, sorted(self._owners.left_out()))).encode()
        return hashlib.sha256(b"\0".join((found, version, epoch, over))).digest()

    def owner(self, number: int) -> Owner:
        """Whose `owner_number` this is; code of an owner that nobody knows is refused, for it may be anyone's."""
        if number not in self._owners.known:
            self._owners = self._read_owners(self._owners.epoch)
        if number not in self._owners.known:
            self._garbage(f"code of an owner ({number}) that it does not know")
        return self._owners.known[number]

    def records(self, documents: Iterable[DocumentId]) -> dict[DocumentId, DocumentRecord]:
        """The records of those documents that are still there, in one round trip."""
        wanted = list(documents)
        if not wanted:
            return {}
        with self.store.refusing():
            values = self._reader.mget([RECORD + document_key(document) for document in wanted])
        try:
            return _records(wanted, values)
        except ValueError:
            self._garbage("a record that is not one")

    def owner_id(self, owner: Owner) -> bytes:
        """The owner's id, given at first use."""
        id_: bytes = self.programs.main(OWNER_ID, str(owner))
        return id_

    def put(self, owner_id: bytes, digest: Digest) -> bool:
        """Add or replace one document, seen whole or not at all; False if it stands there unchanged."""
        return self.put_all([(owner_id, digest)])[0]

    def put_all(self, documents: Sequence[tuple[bytes, Digest]]) -> list[bool]:
        """Do `put` for each of several documents with their owners' ids, in few round trips."""
        return self.writer.put_all(documents)

    def remove(self, owner: Owner, path: str) -> bool:
        """Remove one document, in one step as far as checks can see; False if there is none."""
        id_ = self.known_id(owner)
        return id_ is not None and self.writer.remove_all(id_, [path]) > 0

    def paths(self, owner: Owner) -> dict[str, bytes]:
        """The owner's documents with their keyed content hashes."""
        id_ = self.known_id(owner)
        with self.store.refusing():
            table = self._writer.hgetall(PATHS + id_) if id_ else {}
        return {path.decode("utf-8", "surrogateescape"): value[3:] for path, value in table.items()}

    def owners(self) -> list[Owner]:
        """Everyone who has ever been given an id and was not forgotten."""
        with self.store.refusing():
            names = self._writer.hkeys(OWNER_IDS)
        return sorted((Owner.parse(name.decode()) for name in names), key=str)

    def expire(self, owner: Owner, end: float) -> None:
        """Let the owner's code count no more from `end` on, in seconds since 1970."""
        self.programs.main(EXPIRE_AT, self.owner_id(owner), int(end))

    def expiries(self) -> dict[Owner, int]:
        """From when on whose code counts no more, in seconds since 1970, of those for whom that was set."""
        standing = self._read_owners(b"")
        return {standing.known[number]: end for number, end in standing.expiry.items() if number in standing.known}

    def forget(self, owner: Owner) -> None:
        """Drop an owner that has no documents left; raises OwnerError if it has."""
        if self.programs.main(FORGET_OWNER, str(owner), 1) == -1:
            message = f"{owner} still has documents in the index: remove them first"
            raise OwnerError(message)

    def complete(self, owner: Owner) -> None:
        """Remember that everything of this owner was indexed, once."""
        with self.store.refusing():
            self._writer.hset(COMPLETE, str(owner), 1)

    def completed(self) -> list[str]:
        """The owners of whom that is known, as text."""
        with self.store.refusing():
            return [name.decode() for name in self._writer.hkeys(COMPLETE)]

    def known_id(self, owner: Owner) -> bytes | None:
        """The owner's id, or None if it was never given one."""
        with self.store.refusing():
            id_: bytes | None = self._writer.hget(OWNER_IDS, str(owner))
        return id_

    def _visible(self, hits: Hits, hidden: list[DocumentId], epoch: bytes) -> Hits:
        if epoch != self._owners.epoch:
            self._owners = self._read_owners(epoch)
        left_out = self._owners.left_out()
        if not hidden and not left_out:
            return hits
        documents = hits.documents
        kept = ~np.isin(documents, np.array(hidden, dtype=np.int64))
        return hits.only(kept & ~np.isin(owner_number(documents), np.array(sorted(left_out), dtype=np.int64)))

    def _read_owners(self, epoch: bytes) -> _Owners:
        with self.store.refusing():
            table, gone, expiry = (self._reader.hgetall(key) for key in (OWNERS, GONE, EXPIRY))
        try:
            return _Owners(
                epoch,
                {_number(id_): Owner.parse(name.decode()) for id_, name in table.items()},
                frozenset(map(_number, gone)),
                {_number(id_): int(end) for id_, end in expiry.items()},
            )
        except (ValueError, OwnerError, struct.error):
            self._garbage("an owner that is not one")

    def _with_id(self, index_id: str) -> Stamp:
        return replace(self._expected, index_id=index_id)

    def _garbage(self, what: str) -> NoReturn:
        message = f"the store at {self.store.address} answered with {what}: run `cleanroom index verify`"
        raise StoreUnavailableError(message)


def _records(documents: Sequence[DocumentId], values: Sequence[bytes | None]) -> dict[DocumentId, DocumentRecord]:
    """The records of the documents that have one. ValueError if one of them is none."""
    pairs = zip(documents, values, strict=True)
    return {document: DocumentRecord.from_bytes(value) for document, value in pairs if value}


def _number(owner_id: bytes) -> int:
    number: int = struct.unpack("<H", owner_id)[0]
    return number
