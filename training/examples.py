"""From one file to one training example: which split it belongs to, and where it is cut for fill-in-the-middle.

Every draw is a keyed hash of the file's path, so that what becomes of one file never depends on the others. Knows no
tokenizer: prefix, suffix and middle are plain fields, to be joined by whatever control tokens a model has.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guard.secret import IndexKey

_DRAW_BYTES = 8
_DRAW_RANGE = 2 ** (8 * _DRAW_BYTES)


class Split(StrEnum):
    """What a file is for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SHARES = {Split.TRAIN: 0.9, Split.VALIDATION: 0.05, Split.TEST: 0.05}
"""Expected share of the files in each split."""


class Kind(StrEnum):
    """How an example is to be read."""

    FILL_IN_THE_MIDDLE = "fim"
    LEFT_TO_RIGHT = "left-to-right"


@dataclass(frozen=True, slots=True)
class Example:
    """One file. prefix + middle + suffix is its text; left to right, all of it is the middle."""

    path: str
    language: str
    license: str
    kind: Kind
    prefix: str
    suffix: str
    middle: str

    def to_line(self) -> str:
        """One line of JSON, its end included."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")) + "\n"


class Draws:
    """What chance decides of each path, under one key."""

    def __init__(self, key: IndexKey) -> None:
        self._split_key = key.derive(b"split")
        self._cut_key = key.derive(b"cut")

    def split(self, path: str) -> Split:
        """The split of a file; it stays there whatever other files come and go."""
        (draw,) = _numbers(self._split_key, path, 1)
        floor = 0.0
        for split, share in SHARES.items():
            floor += share * _DRAW_RANGE
            if draw < floor:
                return split
        return Split.TEST

    def cut(self, path: str, text: str, rate: float) -> tuple[Kind, str, str, str]:
        """Kind, prefix, suffix and middle of a file's example.

        With probability `rate` the text is cut at two characters drawn uniformly, and its parts are given in the order
        prefix, suffix, middle (Bavarian et al., Efficient Training of Language Models to Fill in the Middle, 2022,
        section 3: document-level, at character level, PSM).
        """
        chance, one, two = _numbers(self._cut_key, path, 3)
        if chance >= rate * _DRAW_RANGE:
            return Kind.LEFT_TO_RIGHT, "", "", text
        start, end = sorted((one % (len(text) + 1), two % (len(text) + 1)))
        return Kind.FILL_IN_THE_MIDDLE, text[:start], text[end:], text[start:end]


def _numbers(key: bytes, path: str, count: int) -> list[int]:
    """`count` uniform 64-bit numbers for a path."""
    digest = hashlib.blake2b(path.encode(), key=key, digest_size=count * _DRAW_BYTES).digest()
    return [int.from_bytes(digest[i : i + _DRAW_BYTES], "little") for i in range(0, len(digest), _DRAW_BYTES)]
