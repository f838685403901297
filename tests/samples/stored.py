"""Everything that a store holds, for tests that look for what must not be there."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guard.store import Store


def contents(store: Store) -> list[bytes]:
    """Every key and every value of the store."""
    writer: Any = store.writer
    parts: list[bytes] = []
    for key in writer.scan_iter():
        parts.append(key)
        parts += chain(*writer.hgetall(key).items()) if writer.type(key) == b"hash" else [writer.get(key)]
    return parts
