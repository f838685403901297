"""Everything that a store holds, for tests that look for what must not be there."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from guard.postings import POSTINGS_A_DOCUMENT, TABLE_ROWS, TABLE_STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.store import Store


def contents(store: Store) -> list[bytes]:
    """Every key and every value of the store."""
    writer: Any = store.writer
    parts: list[bytes] = []
    for key in writer.scan_iter():
        parts.append(key)
        parts += chain(*writer.hgetall(key).items()) if writer.type(key) == b"hash" else [writer.get(key)]
    return parts


def kept(positions: Sequence[int]) -> list[int]:
    """Of the places of one name in a document, by position, the numbers of those that an index keeps."""
    return [
        number
        for number, position in enumerate(positions)
        if number < POSTINGS_A_DOCUMENT or (number < TABLE_ROWS and position <= positions[number - 1] + TABLE_STEP)
    ]
