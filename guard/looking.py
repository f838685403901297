"""Asking the store for fingerprints: one round trip, whatever the store is. Knows no owner and no meaning.

On a cluster, whose shards lie on several nodes, every shard that is asked has its own call; all are sent before the
first answer is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from guard.errors import StoreEmptyError, StoreUnavailableError
from guard.layout import IN_SHARD, STAMP, VERSION, mark
from guard.postings import asked, buckets_of
from guard.scripts import FIND, LOOKUP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from guard.store import Stamp, Store

LOOKS = 5
"""Times that a cluster is looked at until nothing changed between the first shard's answer and the last one's."""
_STATE = 5
"""Values in front of what was found."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as it came. `pairs`: indexes of names that were found, with the postings of each, in several parts."""

    stamp: bytes | None
    version: bytes = b"0"
    epoch: bytes = b"0"
    tokens: bytes = b"0"
    pending: bytes = b""
    pairs: tuple[tuple[NDArray[np.int64], list[bytes]], ...] = ()


class Looker:
    """Asks one store. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lookup = None if store.sharded else store.reader.register_script(LOOKUP)

    def look(self, stamp: Stamp, names: NDArray[np.uint64]) -> Found:
        """What the store holds of `names`; without anything found if it has another stamp.

        Raises:
            RefusalError: it does not answer, or a part of it is gone.
        """
        if self._lookup is None:
            return self._spread(stamp, names)
        rows = asked(names, stamp.generation).tobytes()
        with self._store.refusing():
            return _found(self._lookup(args=[stamp.to_bytes(), rows]))

    def _spread(self, stamp: Stamp, names: NDArray[np.uint64]) -> Found:
        """Ask every shard's node, again if the index changed meanwhile: the answers must be of one state of it."""
        for _ in range(LOOKS):
            found = self._seen(stamp, names)
            with self._store.refusing():
                version = self._store.reader.get(VERSION)
            if found.stamp != stamp.to_bytes() or (version or b"0") == found.version:
                return found
        message = f"the index at {self._store.address} changes faster than its shards can be asked: try again"
        raise StoreUnavailableError(message)

    def _seen(self, stamp: Stamp, names: NDArray[np.uint64]) -> Found:
        rows, shards = asked(names, stamp.generation), buckets_of(names) // IN_SHARD
        parts = {int(shard): np.flatnonzero(shards == shard) for shard in np.unique(shards)}
        calls = [(LOOKUP, STAMP, stamp.to_bytes(), b"")]
        calls += [(FIND, mark(shard), stamp.index_id.encode(), rows[which].tobytes()) for shard, which in parts.items()]
        with self._store.refusing():
            answers = self._store.ask_shards(calls)
        found = _found(answers[0])
        pairs = []
        for (shard, which), answer in zip(parts.items(), answers[1:], strict=True):
            if not answer or answer[0] != stamp.index_id.encode():
                message = f"shard {shard} of the store at {self._store.address} has lost its data: restore it"
                raise StoreEmptyError(message)
            pairs.append((which[np.array(answer[1::2], dtype=np.int64)], answer[2::2]))
        return Found(found.stamp, found.version, found.epoch, found.tokens, found.pending, tuple(pairs))


def _found(reply: Any) -> Found:  # noqa: ANN401 - whatever the store answers
    if not isinstance(reply, list) or len(reply) < _STATE or len(reply) % 2 != _STATE % 2:
        if isinstance(reply, list) and len(reply) < 2:  # noqa: PLR2004 - nothing, or another stamp
            return Found(reply[0] if reply else None)
        message = "the store answered with something of the wrong shape: run `cleanroom index verify`"
        raise StoreUnavailableError(message)
    stamp, version, epoch, tokens, pending = reply[:_STATE]
    pairs = ((np.array(reply[_STATE::2], dtype=np.int64), reply[_STATE + 1 :: 2]),)
    return Found(stamp, version, epoch, tokens, pending, pairs)
