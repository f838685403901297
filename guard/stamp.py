"""The stamp: what an index was made with, so that no other is taken for it. Knows no store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache

from guard.errors import StoreMismatchError
from guard.layout import GENERATIONS, STAMP


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an index was made with. `index_id` is the random id of this very index; empty stands for any.

    `generation` says which of its buckets count: it changes when the index is given another key (guard.rekeying).
    """

    schema: int
    scheme: str
    key_check: str
    index_id: str
    generation: int = 0

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal stamps are equal bytes."""
        return _canonical(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Stamp:
        """Read what `to_bytes` wrote, else raise StoreMismatchError."""
        try:
            stamp = cls(**json.loads(data))
            readable = 0 <= stamp.generation < GENERATIONS and stamp.to_bytes() == data
        except (ValueError, TypeError, RecursionError):
            readable = False
        if not readable:
            message = (
                f"the store's stamp at {STAMP.decode()} is not one that this version of Cleanroom wrote: use the "
                "version that made the index, or empty the store and run `cleanroom index add` again"
            )
            raise StoreMismatchError(message)
        return stamp


@lru_cache(maxsize=16)
def _canonical(stamp: Stamp) -> bytes:
    """Kept, since every check compares it."""
    return json.dumps(asdict(stamp), sort_keys=True, separators=(",", ":")).encode()
