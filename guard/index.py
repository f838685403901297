"""The index: whose documents hold which fingerprints, in the store. Knows no text and makes no decision.

The layout of its keys is described in guard.scripts. A check is one call of `lookup`, one round trip; `records` is a
second one, made only when there is something to confirm.
"""

from __future__ import annotations

import json
import secrets
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np
from redis.exceptions import ResponseError

from guard import fingerprint, minhash
from guard.errors import OwnerError, StoreMismatchError, StoreUnavailableError
from guard.postings import POSITION_LIMIT, packed
from guard.rarity import Background
from guard.scripts import FORGET_OWNER, LOOKUP, OWNER_ID, PUT, REMOVE
from guard.secret import IndexKey, bind_index, bound_index
from guard.store import Stamp, Store
from guard.types import Owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from guard.digest import Digest
    from guard.tokens import Syntax

SCHEMA = 1
LEXER = 1
"""Rises with every change that gives an old text new tokens."""
SCHEME = (
    f"lexer{LEXER} winnow{fingerprint.K}/{fingerprint.W} "
    f"minhash-{minhash.SCHEME}-{minhash.PERMUTATIONS}/{minhash.BANDS} "
    f"fragment{minhash.FRAGMENT}/{minhash.STRIDE}/{minhash.SHINGLE}"
)
POSTINGS_CAP = 100
"""Postings a fingerprint: what a hundred documents hold is an idiom, and tells nothing of its owner."""
POSTINGS_A_DOCUMENT = 4
_POSTING = 8
_SERIAL_BITS = 24
_BACKGROUND = "cr:background:"

DocumentId = int
"""Owner id in the upper 16 of 40 bits, serial in the lower 24."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What the index holds of a query's fingerprints.

    `which`: int64, shape (n,), index into the queried hashes. `postings`: uint64, shape (n,), sorted by `which`.
    `version` counts the index's changes; `tokens` is its size.
    """

    which: NDArray[np.int64]
    postings: NDArray[np.uint64]
    version: int
    tokens: int

    @property
    def documents(self) -> NDArray[np.int64]:
        """Document ids, shape (n,)."""
        return (self.postings >> np.uint64(_SERIAL_BITS)).astype(np.int64)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Token positions in the documents, shape (n,)."""
        return (self.postings & np.uint64(POSITION_LIMIT)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """What is stored of a document beside its postings. `signatures` is uint8, shape (fragments, PERMUTATIONS)."""

    path: str
    language: str
    tokens: int
    starts: NDArray[np.int32]
    signatures: NDArray[np.uint8]


@overload
def owner_number(document: DocumentId) -> int: ...
@overload
def owner_number(document: NDArray[np.int64]) -> NDArray[np.int64]: ...
def owner_number(document: DocumentId | NDArray[np.int64]) -> int | NDArray[np.int64]:
    """The number of the owner in a document's id, or in each of several."""
    return document >> _SERIAL_BITS


class Index:
    """One index in one store, under one key. Safe to share between threads."""

    def __init__(self, store: Store, key: IndexKey, home: Path) -> None:
        self.store = store
        self._home = home
        self._expected = Stamp(SCHEMA, SCHEME, key.check, "")
        self._stamp = b""
        self._owners: dict[int, Owner] = {}
        # redis-py types replies as bytes or text; these clients answer bytes only.
        self._reader: Any = store.reader
        self._writer: Any = store.writer
        self._lookup = store.reader.register_script(LOOKUP)
        self._scripts = {
            name: store.writer.register_script(text)
            for name, text in (("put", PUT), ("remove", REMOVE), ("owner", OWNER_ID), ("forget", FORGET_OWNER))
        }

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
        self._stamp = standing.to_bytes()
        return standing

    def lookup(self, hashes: NDArray[np.uint64]) -> Hits:
        """Ask for many fingerprints in one round trip; raises what `open` raises when the index is not as it was."""
        stamp = self._sealed()
        with self.store.refusing():
            reply = self._lookup(args=[stamp, hashes.astype("<u8").tobytes()])
        if not isinstance(reply, list) or len(reply) < 3 or len(reply) % 2 == 0:  # noqa: PLR2004 - stamp, version, size
            self.store.accept(Stamp.from_bytes(stamp), reply[0] if reply else None)
            self._garbage("an answer of the wrong shape")
        try:
            return _hits(reply)
        except ValueError:
            self._garbage("postings of the wrong size")

    def owner(self, number: int) -> Owner:
        """Whose `owner_number` this is; code of an owner that nobody knows is refused, for it may be anyone's."""
        if number not in self._owners:
            with self.store.refusing():
                table = self._reader.hgetall("cr:owners")
            try:
                self._owners = {struct.unpack("<H", id_)[0]: Owner.parse(name.decode()) for id_, name in table.items()}
            except (ValueError, OwnerError, struct.error):
                self._garbage("an owner that is not one")
        if number not in self._owners:
            self._garbage(f"code of an owner ({number}) that it does not know")
        return self._owners[number]

    def records(self, documents: Iterable[DocumentId]) -> dict[DocumentId, DocumentRecord]:
        """The records of those documents that are still there, in one round trip."""
        wanted = list(documents)
        tails = [_tail(document) for document in wanted]
        if not wanted:
            return {}
        with self.store.refusing():
            values = self._reader.mget([prefix + tail for tail in tails for prefix in (b"cr:d:", b"cr:f:")])
        pairs = zip(wanted, values[0::2], values[1::2], strict=True)
        try:
            return {document: _record(record, fragments) for document, record, fragments in pairs if record}
        except (ValueError, KeyError, TypeError, RecursionError, struct.error):
            self._garbage("a record that is not one")

    def owner_id(self, owner: Owner) -> bytes:
        """The owner's id, given at first use."""
        id_: bytes = self._run("owner", str(owner))
        return id_

    def put(self, owner_id: bytes, digest: Digest) -> bool:
        """Add or replace one document, atomically; False if it stands there unchanged."""
        record = {"path": digest.path, "language": digest.language, "tokens": digest.tokens}
        fragments = digest.fragments
        blob = struct.pack("<H", len(fragments)) + fragments.starts.astype("<i4").tobytes()
        blob += fragments.signatures.tobytes()
        return bool(
            self._run(
                "put",
                owner_id,
                digest.path,
                digest.content,
                json.dumps(record, separators=(",", ":")),
                digest.tokens,
                blob if len(fragments) else b"",
                POSTINGS_CAP * _POSTING,
                packed(digest, POSTINGS_A_DOCUMENT),
            )
        )

    def remove(self, owner: Owner, path: str) -> bool:
        """Remove one document, atomically; False if there is none."""
        id_ = self.known_id(owner)
        return id_ is not None and bool(self._run("remove", id_, path))

    def paths(self, owner: Owner) -> dict[str, bytes]:
        """The owner's documents with their keyed content hashes."""
        id_ = self.known_id(owner)
        with self.store.refusing():
            table = self._writer.hgetall(b"cr:paths:" + id_) if id_ else {}
        return {path.decode("utf-8", "surrogateescape"): value[3:] for path, value in table.items()}

    def owners(self) -> list[Owner]:
        """Everyone who has ever been given an id and was not forgotten."""
        with self.store.refusing():
            names = self._writer.hkeys("cr:owner-ids")
        return sorted((Owner.parse(name.decode()) for name in names), key=str)

    def forget(self, owner: Owner) -> None:
        """Drop an owner that has no documents left; raises OwnerError if it has."""
        id_ = self.known_id(owner)
        if id_ is not None and not self._run("forget", id_, str(owner)):
            message = f"{owner} still has documents in the index: remove them first"
            raise OwnerError(message)

    def background(self, syntax: Syntax) -> Background:
        """The background model of a syntax; an empty one if none was trained."""
        with self.store.refusing():
            data = self._reader.get(_BACKGROUND + syntax.value)
        try:
            return Background.from_bytes(data) if data else Background.empty()
        except Exception as error:
            message = f"the background model of {syntax.value} in the store is damaged: run `cleanroom index commons`"
            raise StoreMismatchError(message) from error

    def put_background(self, syntax: Syntax, background: Background) -> None:
        """Store a background model for all readers of this index."""
        with self.store.refusing():
            self._writer.set(_BACKGROUND + syntax.value, background.to_bytes())

    def run_all(self, script: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run one of guard.scripts for each of `calls`, in one round trip: each is atomic, all together are not."""
        stamp = self._sealed()
        program = self._writer.register_script(script)
        with self.store.refusing():
            pipe = self._writer.pipeline(transaction=False)
            for call in calls:
                program(args=[stamp, *call], client=pipe)
            return list(pipe.execute())

    def known_id(self, owner: Owner) -> bytes | None:
        """The owner's id, or None if it was never given one."""
        with self.store.refusing():
            id_: bytes | None = self._writer.hget("cr:owner-ids", str(owner))
        return id_

    def _sealed(self) -> bytes:
        """The stamp that every script is given, from the index that is opened at first use."""
        if not self._stamp:
            self.open()
        return self._stamp

    def _with_id(self, index_id: str) -> Stamp:
        expected = self._expected
        return Stamp(expected.schema, expected.scheme, expected.key_check, index_id)

    def _run(self, script: str, *args: Any) -> Any:  # noqa: ANN401 - redis takes and answers bytes, numbers and text
        stamp = self._sealed()
        with self.store.refusing():
            try:
                return self._scripts[script](args=[stamp, *args])
            except ResponseError as error:
                if not str(error).startswith("CR"):
                    raise
                if str(error).startswith("CRSTAMP"):
                    self.open()
                message = f"the index refused to {script}: {str(error).partition(' ')[2]}; run the command again"
                raise StoreMismatchError(message) from error

    def _garbage(self, what: str) -> NoReturn:
        message = f"the store at {self.store.address} answered with {what}: run `cleanroom index verify`"
        raise StoreUnavailableError(message)


def _hits(reply: list[Any]) -> Hits:
    which, blobs = reply[3::2], reply[4::2]
    if any(not blob or len(blob) % _POSTING for blob in blobs):
        message = f"a value that is not made of postings of {_POSTING} bytes"
        raise ValueError(message)
    postings = np.frombuffer(b"".join(blobs), dtype="<u8").astype(np.uint64)
    counts = np.array([len(blob) // _POSTING for blob in blobs], dtype=np.int64)
    return Hits(
        which=np.repeat(np.array(which, dtype=np.int64), counts),
        postings=postings,
        version=int(reply[1]),
        tokens=int(reply[2]),
    )


def _tail(document: DocumentId) -> bytes:
    return struct.pack("<I", document & ((1 << _SERIAL_BITS) - 1))[:3] + struct.pack("<H", owner_number(document))


def _record(record: bytes, fragments: bytes | None) -> DocumentRecord:
    known = json.loads(record)
    if not isinstance(known["path"], str):
        message = "a document whose path is no text"
        raise TypeError(message)
    count = struct.unpack_from("<H", fragments)[0] if fragments else 0
    starts = np.frombuffer(fragments or b"", dtype="<i4", count=count, offset=2 if count else 0)
    signatures = np.frombuffer(fragments or b"", dtype=np.uint8, offset=2 + 4 * count if count else 0)
    return DocumentRecord(
        path=known["path"],
        language=known["language"],
        tokens=known["tokens"],
        starts=starts,
        signatures=signatures.reshape(count, minhash.PERMUTATIONS),
    )
