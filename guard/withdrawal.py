"""Withdrawal: taking an owner's code back. Knows neither accounts nor models, from which it goes by other ways.

Each document goes in one atomic step, so that no reader sees half of one; from that step on the guard knows it no more.
An interrupted withdrawal is simply run again.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from guard.errors import OwnerError
from guard.scripts import REMOVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.index import Index
    from guard.types import Owner

BATCH = 256
"""Documents taken back in one round trip."""
_PAGE = 500
_ROUNDS = 8
"""Times that an owner's documents are gone through before it is said that somebody keeps adding some."""


def withdraw(index: Index, owner: Owner, prefix: str = "", *, progress: Callable[[int], None] = lambda _: None) -> int:
    """Take back all of an owner's documents, or those whose path starts with `prefix`; answer how many there were.

    An owner that has none left is forgotten. `progress` is told the number taken back so far.

    Raises:
        OwnerError: others keep adding documents of this owner.
        RefusalError: the store does not answer, or holds another index; what was taken back until then stays so.
    """
    index.open()
    writer: Any = index.store.writer
    start, removed = prefix.encode(errors="surrogateescape"), 0
    with index.store.refusing():
        id_ = index.known_id(owner)
        table = b"cr:paths:" + (id_ or b"")
        for _ in range(_ROUNDS):
            paths = (path for path, _ in writer.hscan_iter(table, count=_PAGE) if path.startswith(start))
            while batch := list(islice(paths, BATCH)):
                removed += sum(index.run_all(REMOVE, [(id_, path) for path in batch]))
                progress(removed)
            if id_ is None or writer.exists(table) == 0:
                index.forget(owner)
                return removed
            if prefix:
                return removed
    message = f"{owner} is being added to as fast as it is taken back: stop what indexes it, then withdraw it again"
    raise OwnerError(message)
