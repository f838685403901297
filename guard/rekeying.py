"""Re-keying: giving an index another store key without its sources.

Stored names are a permutation, under the store key, of what the content key makes of code; so each can be opened and
sealed anew. All buckets are copied into a new generation, unseen, while checks go on with the old one and writers wait;
then one step puts the new stamp in place, from which on whoever comes with the old key is refused. A copy that was
interrupted is begun anew by the next run, over what the first has left. Knows no key, only what opens and what seals.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from guard import buckets
from guard.audit_scripts import READ_BUCKETS
from guard.errors import StoreMismatchError
from guard.layout import (
    BUCKET_PATTERN,
    BUCKETS,
    ENTRY,
    GENERATIONS,
    IN_SHARD,
    MAIN,
    PATHS,
    POSTING,
    REMAINDER_BITS,
    back_list,
    bucket_keys,
    bucket_prefix,
    document_id,
    shard_of,
)
from guard.programs import Programs
from guard.rekeying_scripts import DROP, FORGET_CONTENTS, MOVE, REPLACE, SETTLE, START, STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from guard.index import Index
    from guard.store import Stamp

STEP = 512
"""Buckets read in one call."""
SLICE = 128
"""Buckets or lists written in one call."""
HELD = 8_000_000
"""Entries held in memory at a time, 40 bytes each; an index that has more is gone through several times."""
_REMAINS = MAIN + b"remains"
_PAGE = 1_000
_LISTED = 256
"""Lists written in one round trip."""


class Names(Protocol):
    """A permutation of names; both ways for arrays of uint64 below 2**NAME_BITS, of any shape (n,)."""

    def seal(self, base: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The names under which the store knows these."""

    def open(self, name: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """What `seal` was given."""

    def veil(self, names: NDArray[np.uint64], postings: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Hide what postings of these (sealed) names say beside whose they are, or show it again."""


def rekey(
    index: Index, old: Names, new: Names, key_check: str, *, progress: Callable[[float], None] = lambda _: None
) -> Stamp:
    """Give the index the names of `new`; answer its new stamp. `progress` is told the share that is done, 0 to 1.

    `index` is the index under its old key, and `key_check` is what the new stamp says of the new one (IndexKey.check).
    Run again after an interruption, it does what is left to do.

    Raises:
        StoreMismatchError: the index has neither this old key nor this new one; or somebody is writing to it.
        RefusalError: the store does not answer.
    """
    standing = index.store.read_stamp()
    if standing is None or standing.key_check != key_check:
        moved = replace(index.open(), key_check=key_check, generation=(index.stamp().generation + 1) % GENERATIONS)
        _Move(index, moved, old, new, progress).run()
        standing = moved
    _drop_remains(index, standing)
    return standing


def abandon(index: Index) -> None:
    """Give up a re-keying that was begun, so that the index is written to again under its old key.

    Raises:
        RefusalError: the store does not answer, or the index has the new key already.
    """
    stamp = index.open()
    _drop_generation(index.programs, (stamp.generation + 1) % GENERATIONS)
    index.programs.main(STOP)


class _Move:
    """One copy of an index into its next generation."""

    def __init__(self, index: Index, moved: Stamp, old: Names, new: Names, progress: Callable[[float], None]) -> None:
        self._programs = index.programs
        self._store = index.store
        self._from = index.stamp().generation
        self._moved = moved
        self._old, self._new = old, new
        self._progress = progress

    def run(self) -> None:
        """Buckets first, then documents' lists of them, then the stamp."""
        target = json.dumps([self._moved.key_check, self._moved.generation])
        self._programs.main(START, target)
        _drop_generation(self._programs, self._moved.generation)  # what an earlier attempt has left
        self._forget_contents()
        held = sum(len(names) for names, _ in self._entries(range(0, IN_SHARD, STEP)))
        passes = max(1, -(-held * (BUCKETS // IN_SHARD) // HELD))
        read = written = 0
        for part in range(passes):
            low, high = part * BUCKETS // passes, (part + 1) * BUCKETS // passes
            read, copied = self._copy_buckets(low, high)
            written += copied
            self._progress((part + 1) / (2 * passes + 1))
        if written != read:
            message = "the index was written to while it was given another key: stop what does so, then run it again"
            raise StoreMismatchError(message)
        for part in range(passes):
            self._copy_lists(part, passes)
            self._progress((passes + part + 1) / (2 * passes + 1))
        self._programs.main(MOVE, target, self._moved.to_bytes(), self._from)
        self._progress(1.0)

    def _forget_contents(self) -> None:
        """Drop the hashes of documents' texts, which cannot be made anew: the next run of ingestion reads the files."""
        writer: Any = self._store.writer
        with self._store.refusing():
            tables = list(writer.scan_iter(match=PATHS + b"*", count=_PAGE))
        for table in tables:
            with self._store.refusing():
                paths = list(writer.hkeys(table))
            for first in range(0, len(paths), STEP):
                self._programs.main(FORGET_CONTENTS, table, *paths[first : first + STEP])

    def _copy_buckets(self, low: int, high: int) -> tuple[int, int]:
        """Write the new buckets from `low` to `high`; answer how many entries were read and how many written."""
        read, names, postings = 0, [], []
        for found, tails in self._entries(range(0, BUCKETS, STEP)):
            read += len(found)
            places = (found >> np.uint64(REMAINDER_BITS)).astype(np.int64)
            wanted = (places >= low) & (places < high)
            names.append(found[wanted])
            postings.append(tails[wanted])
        sealed, tails = _joined(names, np.uint64, ()), _joined(postings, np.uint8, (POSTING,))
        order = np.argsort(sealed, kind="stable")
        sealed, entries = sealed[order], np.empty((len(order), ENTRY), dtype=np.uint8)
        entries[:, : ENTRY - POSTING] = sealed.view(np.uint8).reshape(-1, 8)[:, : ENTRY - POSTING]
        entries[:, ENTRY - POSTING :] = tails[order]
        places, first = np.unique((sealed >> np.uint64(REMAINDER_BITS)).astype(np.int64), return_index=True)
        edges = [*(first * ENTRY).tolist(), len(sealed) * ENTRY]
        keys, data = bucket_keys(places, self._moved.generation), entries.tobytes()
        values = [data[begin:end] for begin, end in pairwise(edges)]
        for shard, some in self._programs.parts(places, SLICE):
            pairs = zip((row.tobytes() for row in keys[some]), values[some], strict=True)
            self._programs.spread(REPLACE, [(shard, tuple(part for pair in pairs for part in pair))])
        return read, len(sealed)

    def _copy_lists(self, part: int, parts: int) -> None:
        """Write the lists of buckets of one share of all documents."""
        found = []
        for names, tails in self._entries(range(0, BUCKETS, STEP)):
            holders = _documents(tails)
            mine = holders % parts == part
            found.append(np.stack([holders[mine], (names[mine] >> np.uint64(REMAINDER_BITS)).astype(np.int64)]))
        pairs = np.unique(np.concatenate(found, axis=1), axis=1) if found else np.empty((2, 0), dtype=np.int64)
        prefix, target = back_list(self._from), back_list(self._moved.generation)
        writer: Any = self._store.writer
        calls = []
        with self._store.refusing():
            keys = [key.removeprefix(prefix) for key in writer.scan_iter(match=prefix + b"*", count=_PAGE)]
        for key in keys:
            document = document_id(key)
            if document % parts == part:
                low, high = np.searchsorted(pairs[0], [document, document + 1])
                calls.append((None, (target + key, buckets.encoded(pairs[1, low:high]))))
        for first in range(0, len(calls), _LISTED):
            self._programs.spread(REPLACE, calls[first : first + _LISTED])

    def _entries(self, steps: range) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint8]]]:
        """New names and postings (n, POSTING) of the old generation's entries, a few buckets at a time."""
        for at in steps:
            shard, low = divmod(at, IN_SHARD)
            call = (bucket_prefix(shard, self._from), low, low + STEP)
            answer = self._programs.spread(READ_BUCKETS, [(shard if self._store.sharded else None, call)])[0]
            numbers, values = answer[0::2], answer[1::2]
            if any(not isinstance(value, bytes) or len(value) % ENTRY for value in values):
                message = "the index is damaged: run `cleanroom index verify --mend`, then give it another key"
                raise StoreMismatchError(message)
            raw = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(-1, ENTRY)
            if len(raw):
                sizes = [len(value) // ENTRY for value in values]
                places = np.repeat(np.array(numbers) + (at - low), sizes)
                lower = raw[:, 0].astype(np.uint64) | raw[:, 1].astype(np.uint64) << np.uint64(8)
                lower |= raw[:, 2].astype(np.uint64) << np.uint64(16)
                names = places.astype(np.uint64) << np.uint64(REMAINDER_BITS) | lower
                postings = np.ascontiguousarray(raw[:, ENTRY - POSTING :]).view("<u8").reshape(-1)
                sealed = np.ascontiguousarray(self._new.seal(self._old.open(names)), dtype="<u8")
                veiled = self._new.veil(sealed, self._old.veil(names, postings))
                yield sealed, veiled.astype("<u8").view(np.uint8).reshape(-1, POSTING)


def _drop_remains(index: Index, stamp: Stamp) -> None:
    """Delete the generation from which the index was moved, if it is still there."""
    writer: Any = index.store.writer
    with index.store.refusing():
        remains = writer.get(_REMAINS)
    if remains is not None:
        programs = Programs(index.store, lambda: stamp, index.open)
        _drop_generation(programs, int(remains))
        programs.main(SETTLE)


def _drop_generation(programs: Programs, generation: int) -> None:
    """Delete the buckets and lists of a generation that does not count."""
    writer: Any = programs.store.writer
    with programs.store.refusing():
        for pattern in (BUCKET_PATTERN % generation, back_list(generation) + b"*"):
            keys = list(writer.scan_iter(match=pattern, count=_PAGE))
            for first in range(0, len(keys), STEP):
                shares: dict[int | None, list[bytes]] = {}
                for key in keys[first : first + STEP]:
                    shares.setdefault(shard_of(key) if programs.store.sharded else None, []).append(key)
                programs.spread(DROP, [(shard, tuple(share)) for shard, share in shares.items()])


def _documents(tails: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The documents of postings given as bytes, shape (n, POSTING)."""
    raw = tails.astype(np.int64)
    documents: NDArray[np.int64] = (raw[:, 0] | raw[:, 1] << 8) << 24 | raw[:, 2] | raw[:, 3] << 8 | raw[:, 4] << 16
    return documents


def _joined(parts: list[Any], kind: Any, row: tuple[int, ...]) -> Any:  # noqa: ANN401 - arrays of either type
    return np.concatenate(parts) if parts else np.empty((0, *row), dtype=kind)
