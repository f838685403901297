"""Documents' records, as the store keeps them and as the guard reads them. Knows no store and no owner.

A record is tokens (4 bytes, little-endian), entries (4), fragments (4), length of the language's name (1), that name
and the path, both in UTF-8.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

_HEAD = struct.Struct("<IIIB")


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """What is stored of a document beside its postings. `entries` counts those, bands' included."""

    path: str
    language: str
    tokens: int
    fragments: int = 0
    entries: int = 0

    def to_bytes(self) -> bytes:
        """The record as the store keeps it."""
        language = self.language.encode()
        head = _HEAD.pack(self.tokens, self.entries, self.fragments, len(language))
        return head + language + self.path.encode(errors="surrogateescape")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: it is cut off, or what should be text is none.
        """
        if len(data) < _HEAD.size:
            message = f"a record of {len(data)} bytes"
            raise ValueError(message)
        tokens, entries, fragments, length = _HEAD.unpack_from(data)
        path = _HEAD.size + length
        if len(data) <= path:
            message = "a record without a path"
            raise ValueError(message)
        language = data[_HEAD.size : path].decode()
        return cls(data[path:].decode(errors="surrogateescape"), language, tokens, fragments, entries)
