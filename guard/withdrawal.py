"""Withdrawal: taking an owner's code back. Knows neither accounts nor models, from which it goes by other ways.

A whole owner goes in one step, from which on the guard knows none of it. What it leaves is then swept out of the
buckets, a few at a time while checks go on, and whoever runs `sweep` next takes up where an interrupted sweep stopped.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from guard.layout import BUCKETS, GONE, IN_SHARD, PATHS, bucket_prefix
from guard.owner_scripts import DROP_RECORDS, FORGET_OWNER, SWEEP, SWEPT

if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.index import Index
    from guard.types import Owner

BATCH = 256
"""Documents taken back in one go."""
_PAGE = 500
STEP = 512
"""Buckets swept in one call, and documents whose records are dropped in one: a millisecond or two of the store's
time."""
FEW = 300
"""Up to so many documents are taken back one by one: to go through all buckets takes half a second."""
_REMEMBERED = 16
"""Steps after which it is written down how far a sweep has come."""
_DONE = b"done"


def withdraw(index: Index, owner: Owner, prefix: str = "", *, progress: Callable[[int], None] = lambda _: None) -> int:
    """Take back all of an owner's documents, or those whose path starts with `prefix`; answer how many there were.

    An owner that has none left is forgotten. `progress` is told the number taken back so far.

    Raises:
        RefusalError: the store does not answer, or holds another index; what was taken back until then stays so.
    """
    index.open()
    removed = (
        _withdraw_below(index, owner, prefix, progress) if prefix else index.programs.main(FORGET_OWNER, str(owner), 0)
    )
    progress(removed)
    sweep(index)
    return int(removed)


def withdraw_expired(index: Index) -> list[Owner]:
    """Withdraw everyone whose time is over, and finish interrupted withdrawals; answer who was withdrawn.

    Raises:
        RefusalError: as `withdraw`.
    """
    now = time.time()
    over = sorted((owner for owner, end in index.expiries().items() if end <= now), key=str)
    index.programs.main_all(FORGET_OWNER, [(str(owner), 0) for owner in over])
    sweep(index)
    return over


def sweep(index: Index) -> int:
    """Finish what withdrawals have left to do; answer how many entries were swept out of all buckets.

    Raises:
        RefusalError: as `withdraw`.
    """
    writer: Any = index.store.writer
    with index.store.refusing():
        unfinished = {id_: int(at) for id_, at in writer.hgetall(GONE).items() if at != _DONE and at.isdigit()}
    large = [id_ for id_ in sorted(unfinished) if unfinished[id_] or not _take_back_few(index, id_)]
    for id_ in large:
        _drop_records(index, id_)
    taken = _sweep_buckets(index, large, min(unfinished[id_] for id_ in large)) if large else 0
    generation = index.programs.generation
    index.programs.main_all(SWEPT, [(id_, _DONE, generation) for id_ in unfinished])
    return taken


def _withdraw_below(index: Index, owner: Owner, prefix: str, progress: Callable[[int], None]) -> int:
    writer: Any = index.store.writer
    id_, removed, start = index.known_id(owner), 0, prefix.encode(errors="surrogateescape")
    if id_ is None:
        return 0
    with index.store.refusing():
        paths = (path for path, _ in writer.hscan_iter(PATHS + id_, count=_PAGE) if path.startswith(start))
        while batch := list(islice(paths, BATCH)):
            removed += index.writer.remove_all(id_, batch)
            progress(removed)
    index.programs.main(FORGET_OWNER, str(owner), 1)  # stays if it has documents left
    return removed


def _take_back_few(index: Index, id_: bytes) -> bool:
    """Take back what an owner leaves document by document, if that is quicker than to go through all buckets."""
    writer: Any = index.store.writer
    with index.store.refusing():
        if writer.hlen(PATHS + id_) > FEW:
            return False
        paths = writer.hkeys(PATHS + id_)
    index.writer.remove_all(id_, paths)
    index.writer.clean([id_])
    return True


def _drop_records(index: Index, id_: bytes) -> None:
    cursor, generation = b"0", index.programs.generation
    while True:
        cursor, dropped = index.programs.main(DROP_RECORDS, id_, cursor, STEP, generation)
        if cursor == b"0" and not dropped:
            return


def _sweep_buckets(index: Index, ids: list[bytes], first: int) -> int:
    taken, generation, owners = 0, index.programs.generation, b"".join(ids)
    for step, at in enumerate(range(first - first % STEP, BUCKETS, STEP)):
        shard, low = divmod(at, IN_SHARD)
        call = (bucket_prefix(shard, generation), low, low + STEP, owners)
        taken += index.programs.spread(SWEEP, [(shard if index.store.sharded else None, call)])[0]
        if step % _REMEMBERED == _REMEMBERED - 1:
            index.programs.main_all(SWEPT, [(id_, at + STEP, generation) for id_ in ids])
    return taken
