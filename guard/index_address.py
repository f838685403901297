"""Where an index is and how to open it, in a form that another process can be given. Knows no documents."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.digest import Digester
from guard.index import Index
from guard.secret import IndexKey
from guard.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 10.0
"""Seconds to wait for an answer for which a check would not wait: others may be writing large documents."""


@dataclass(frozen=True, slots=True)
class IndexAddress:
    """The store's URL (None for the embedded one of `home`), the home that knows the index, and the index key."""

    url: str | None
    home: Path
    key: bytes = field(repr=False)

    @contextmanager
    def opened(self) -> Iterator[tuple[Index, Digester]]:
        """The index, made if the store is new, and the digester of its key."""
        key = IndexKey(self.key)
        with open_store(self.url, self.home, check_timeout=PATIENCE) as store:
            index = Index(store, key, self.home)
            index.create()
            yield index, Digester(key)
