"""An organization's own documents in the index, as it may list, send, withdraw and count them itself.

Knows no HTTP and no account: whose documents they are is said with every call. The one place where the index's refusal
becomes the service's on this way.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from guard.errors import RefusalError, WireError
from guard.inventory import page_of, statistics, statistics_of
from guard.types import Owner
from guard.wire import decode_batch
from guard.withdrawal import withdraw, withdraw_expired
from service.errors import IndexMismatchError, IndexUnavailableError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from guard.index import Index
    from guard.inventory import IndexStatistics, OwnerStatistics
    from guard.stamp import Stamp

PAGE = 1000
"""Documents listed at a time."""


class Documents:
    """The documents of organizations in one index, which must be opened with leave to write. Safe to share.

    Every method raises IndexUnavailableError when the index cannot do it now.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def stamp(self) -> Stamp:
        """What the index was made with, and what is sent to it must be."""
        with _refusing():
            return self._index.open()

    def page(self, org: str, cursor: int) -> tuple[dict[str, bytes], int]:
        """Some paths with their keyed content hashes, and the cursor of the next page; 0 begins and 0 ends.

        What earlier runs left unfinished is first put out of the way, and an organization whose time is over has none.
        """
        owner = Owner.organization(org)
        with _refusing():
            if cursor == 0:
                self._settle(owner)
            return page_of(self._index, owner, cursor, PAGE)

    def put(self, org: str, batch: bytes) -> tuple[int, int]:
        """Add or replace the documents of a batch (guard.wire); answer how many were written and how many stood there.

        Raises:
            InvalidRequestError: these bytes are no batch.
            IndexMismatchError: they were made with another key, scheme or schema, so that no check would find them.
        """
        try:
            made_with, digests = decode_batch(batch)
        except WireError as error:
            raise InvalidRequestError(str(error)) from None
        with _refusing():
            standing = self._index.open()
            for name in ("schema", "scheme", "key_check"):
                if getattr(made_with, name) != getattr(standing, name):
                    message = f"these fingerprints were made with another {name.replace('_', ' ')} than the index's: "
                    raise IndexMismatchError(message + IndexMismatchError.remedy)
            if not digests:
                return 0, 0
            owner = self._index.owner_id(Owner.organization(org))
            written = sum(self._index.put_all([(owner, digest) for digest in digests]))
        return written, len(digests) - written

    def remove(self, org: str, paths: Sequence[str]) -> int:
        """Withdraw documents by their paths; answer how many there were."""
        with _refusing():
            self._index.open()
            owner = self._index.known_id(Owner.organization(org))
            return 0 if owner is None else self._index.writer.remove_all(owner, paths)

    def withdraw(self, org: str, prefix: str) -> int:
        """Withdraw every document whose path starts with `prefix`; answer how many there were."""
        with _refusing():
            return withdraw(self._index, Owner.organization(org), prefix)

    def statistics(self, org: str) -> OwnerStatistics:
        """Count what the index holds of the organization."""
        with _refusing():
            return statistics_of(self._index, Owner.organization(org))

    def census(self) -> IndexStatistics:
        """Count what the index holds of everybody, document by document: for administrators."""
        with _refusing():
            return statistics(self._index)

    def expire(self, org: str, ttl: int) -> int | None:
        """Let the organization's code count for `ttl` more seconds; answer until when, None if it has none."""
        owner = Owner.organization(org)
        end = int(time.time()) + ttl
        with _refusing():
            self._index.open()
            if self._index.known_id(owner) is None:
                return None
            self._index.expire(owner, end)
        return end

    def _settle(self, owner: Owner) -> None:
        self._index.open()
        end = self._index.expiries().get(owner)
        if end is not None and end <= time.time():
            withdraw_expired(self._index)
        id_ = self._index.known_id(owner)
        if id_ is not None:
            self._index.writer.clean([id_])


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except RefusalError as error:
        message = f"{type(error).__name__}: {error}"
        raise IndexUnavailableError(message) from error
