"""Where the parts of an index lie in its store: the names of its keys, and how its buckets are spread over shards.

    cr:{main}:stamp          what the index was made with (guard.store)
    cr:{main}:version        counts every change that a check can see; `epoch` counts those of owners
    cr:{main}:tokens         indexed tokens in all, for the significance of a match
    cr:{main}:owners         hash: owner id (2 bytes, little-endian) -> owner; `owner-ids` the other way round
    cr:{main}:expiry         hash: owner id -> seconds since 1970 from which its code counts no more
    cr:{main}:gone           hash: owner id of whom was withdrawn -> the first bucket not yet swept, or "done"
    cr:{main}:complete       hash: an owner, as text, of whom everything was indexed -> 1
    cr:{main}:pending        hash: document -> "w" while it is being written, "x" while it is being taken back
    cr:{main}:moving         there while the index is being re-keyed (guard.rekeying)
    cr:{main}:d:<document>   a document's record (guard.records)
    cr:{main}:s<g>:<document> the buckets it stands in (guard.buckets): where to take it back from when it goes
    cr:{main}:paths:<owner>  hash: path -> serial (3 bytes), keyed content hash (8 bytes)
    cr:{main}:next:<owner>   an owner's last serial
    cr:{ss}:mark             the index's id, in each of the 64 shards: a shard without it has lost its data
    cr:{ss}:p<g>:<2 bytes>   a bucket: entries of 11 bytes one after the other

<document> is owner id (2 bytes) and serial (3), little-endian. <g> is the generation, a digit that changes when the
index is re-keyed. A name of 42 bits is shard (6), bucket within it (12), remainder (24); an entry is remainder (3
bytes), owner (2), serial (3), position (2) and agreement (1), little-endian, so that its last eight bytes are a
posting. What stands in braces is Redis Cluster's hash tag: keys of one shard lie on one node. Knows no client and no
script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAIN = b"cr:{main}:"
PATTERN = "cr:*"
STAMP = MAIN + b"stamp"
VERSION = MAIN + b"version"
EPOCH = MAIN + b"epoch"
TOKENS = MAIN + b"tokens"
OWNERS = MAIN + b"owners"
OWNER_IDS = MAIN + b"owner-ids"
EXPIRY = MAIN + b"expiry"
GONE = MAIN + b"gone"
PENDING = MAIN + b"pending"
RECORD = MAIN + b"d:"
PATHS = MAIN + b"paths:"
COMPLETE = MAIN + b"complete"

SHARD_BITS = 6
SHARDS = 1 << SHARD_BITS
BUCKET_BITS = 18
"""Buckets of a million fragments hold about 84 entries, 0.9 kB: see docs/guard.md for what fewer or more would cost."""
BUCKETS = 1 << BUCKET_BITS
IN_SHARD = BUCKETS // SHARDS
"""Buckets of one shard."""
REMAINDER_BITS = 24
NAME_BITS = BUCKET_BITS + REMAINDER_BITS
ENTRY = 11
"""Bytes of an entry."""
POSTING = 8
"""Bytes of it that are the posting."""
DOCUMENT = 5
"""Bytes of a document's key."""
SERIAL_BITS = 24
OWNER_BITS = 16
KEY = 13
"""Bytes of a bucket's key."""
GENERATIONS = 10
BUCKET_PATTERN = b"cr:{??}:p%d:*"
"""Matches the keys of all buckets of a generation."""


def back_list(generation: int) -> bytes:
    """What the keys of documents' lists of buckets begin with."""
    return MAIN + b"s%d:" % generation


def mark(shard: int) -> bytes:
    """The key of a shard's mark."""
    return b"cr:{%02x}:mark" % shard


def bucket_prefix(shard: int, generation: int) -> bytes:
    """What the keys of a shard's buckets begin with."""
    return b"cr:{%02x}:p%d:" % (shard, generation)


def shard_of(key: bytes) -> int | None:
    """The shard that a bucket's key belongs to; None for a main key."""
    return None if key.startswith(MAIN) else int(key[4:6], 16)


def bucket_keys(buckets: NDArray[np.int64], generation: int) -> NDArray[np.uint8]:
    """The keys of buckets, one a row, shape (n, KEY)."""
    keys = np.empty((len(buckets), KEY), dtype=np.uint8)
    keys[:, :-2] = _PREFIXES[generation][buckets // IN_SHARD]
    keys[:, -2:] = (buckets % IN_SHARD).astype(">u2").view(np.uint8).reshape(-1, 2)
    return keys


def document_key(document: int) -> bytes:
    """The five bytes that stand for a document, from its id: owner in the upper 16 of 40 bits, serial in the lower."""
    serial = document & ((1 << SERIAL_BITS) - 1)
    return (document >> SERIAL_BITS).to_bytes(2, "little") + serial.to_bytes(3, "little")


def document_id(key: bytes) -> int:
    """The id of the document that five bytes stand for."""
    return int.from_bytes(key[:2], "little") << SERIAL_BITS | int.from_bytes(key[2:], "little")


_PREFIXES = np.array(
    [
        [np.frombuffer(bucket_prefix(shard, generation), dtype=np.uint8) for shard in range(SHARDS)]
        for generation in range(GENERATIONS)
    ]
)
