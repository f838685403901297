"""Asking the store for fingerprints: one round trip, whatever the store is. Knows no owner and no meaning.

A question is one transaction that only reads: the state of the index, records and whole buckets, as of one moment. No
script runs for it, and no client library packs it: the keys of a hundred buckets are laid out by numpy. On a cluster,
whose shards lie on several nodes, every shard that is asked has its own transaction; all are sent before the first
answer is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from guard.errors import StoreEmptyError, StoreUnavailableError
from guard.layout import DOCUMENT, EPOCH, IN_SHARD, KEY, PENDING, RECORD, STAMP, TOKENS, VERSION, bucket_keys, mark
from guard.nodes import Question
from guard.postings import buckets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.store import Stamp, Store

Part = tuple[NDArray[np.int64], list[bytes | None]]
"""The buckets of some of the names, None for one that is not there, and where these stand among all of them."""
LOOKS = 5
"""Times that a cluster is looked at until nothing changed between the first shard's answer and the last one's."""
_STATE = (STAMP, VERSION, EPOCH, TOKENS)
_NO_BUCKETS = np.empty((0, KEY), dtype=np.uint8)
_KEY_HEAD = np.frombuffer(b"$%d\r\n" % KEY, dtype=np.uint8)
_END = np.frombuffer(b"\r\n", dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as it came. `parts`: the buckets of some names each. `records`: None for one that is not there."""

    stamp: bytes | None
    version: bytes = b"0"
    epoch: bytes = b"0"
    tokens: bytes = b"0"
    pending: Sequence[bytes] = ()
    parts: tuple[Part, ...] = ()
    records: Sequence[bytes | None] = ()


class Looker:
    """Asks one store. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def look(self, stamp: Stamp, names: NDArray[np.uint64], documents: bytes = b"") -> Found:
        """What the store holds of `names`, and records of documents (their keys); nothing if it has another stamp.

        Raises:
            RefusalError: it does not answer, or a part of it is gone.
        """
        keys = bucket_keys(buckets_of(names), stamp.generation)
        if self._store.sharded:
            return self._spread(stamp, names, keys, documents)
        with self._store.refusing():
            (answer,) = self._store.ask([_question(_main(documents), keys, PENDING)])
        return self._found(stamp, answer, len(documents) // DOCUMENT, np.arange(len(names)))

    def _spread(self, stamp: Stamp, names: NDArray[np.uint64], keys: NDArray[np.uint8], documents: bytes) -> Found:
        """Ask every shard's node, again if the index changed meanwhile: the answers must be of one state of it."""
        shards = buckets_of(names) // IN_SHARD
        shares = {int(shard): np.flatnonzero(shards == shard) for shard in np.unique(shards)}
        questions = [_question(_main(documents), _NO_BUCKETS, PENDING)]
        questions += [_question([mark(shard)], keys[which]) for shard, which in shares.items()]
        for _ in range(LOOKS):
            with self._store.refusing():
                main, *others = self._store.ask(questions)
                version = self._store.reader.get(VERSION)
            found = self._found(stamp, main, len(documents) // DOCUMENT, np.arange(0))
            if found.stamp != stamp.to_bytes():
                return found
            parts = [self._part(stamp, *share, answer) for share, answer in zip(shares.items(), others, strict=True)]
            if (version or b"0") == found.version:
                return replace(found, parts=tuple(parts))
        message = f"the index at {self._store.address} changes faster than its shards can be asked: try again"
        raise StoreUnavailableError(message)

    def _found(self, stamp: Stamp, answer: list[Any], documents: int, places: NDArray[np.int64]) -> Found:
        values, there, pending = answer
        state, rest = values[: len(_STATE)], values[len(_STATE) :]
        if state[0] != stamp.to_bytes():
            return Found(state[0])
        self._require_all(values, there)
        records, buckets = rest[:documents], rest[documents:]
        version, epoch, tokens = (value or b"0" for value in state[1:])
        return Found(state[0], version, epoch, tokens, pending, ((places, buckets),), records)

    def _part(self, stamp: Stamp, shard: int, which: NDArray[np.int64], answer: list[Any]) -> Part:
        values, there = answer
        if values[0] != stamp.index_id.encode():
            message = f"shard {shard} of the store at {self._store.address} has lost its data: restore it"
            raise StoreEmptyError(message)
        self._require_all(values, there)
        return which, values[1:]

    def _require_all(self, values: list[bytes | None], there: int) -> None:
        """Refuse if a key is there whose value is none: MGET has nothing to say of keys of other types."""
        if len(values) - values.count(None) != there:
            message = f"a key of the store at {self._store.address} is of another type: run `cleanroom index verify`"
            raise StoreUnavailableError(message)


def _main(documents: bytes) -> list[bytes]:
    return [*_STATE, *(RECORD + documents[i : i + DOCUMENT] for i in range(0, len(documents), DOCUMENT))]


def _question(keys: list[bytes], buckets: NDArray[np.uint8], table: bytes | None = None) -> Question:
    """Ask, as of one moment, for the values of keys and buckets, for how many of them there are, and for a hash's keys.

    `buckets`: keys, shape (n, KEY).
    """
    asked = b"".join(map(_bulk, keys)) + _bulks(buckets)
    count = len(keys) + len(buckets) + 1
    commands = [b"*1\r\n" + _bulk(b"MULTI")]
    commands += [b"*%d\r\n" % count + _bulk(verb) + asked for verb in (b"MGET", b"EXISTS")]
    if table is not None:
        commands.append(b"*2\r\n" + _bulk(b"HKEYS") + _bulk(table))
    commands.append(b"*1\r\n" + _bulk(b"EXEC"))
    return Question(keys[0], b"".join(commands), len(commands))


def _bulk(word: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(word), word)


def _bulks(keys: NDArray[np.uint8]) -> bytes:
    rows = np.empty((len(keys), len(_KEY_HEAD) + KEY + len(_END)), dtype=np.uint8)
    rows[:, : len(_KEY_HEAD)] = _KEY_HEAD
    rows[:, len(_KEY_HEAD) : -len(_END)] = keys
    rows[:, -len(_END) :] = _END
    return rows.tobytes()
