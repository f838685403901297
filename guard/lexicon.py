"""Keywords and operators as tables that kernels search. Knows no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.kernels import part
from guard.keywords import HASH_KEYWORDS, SLASH_KEYWORDS
from guard.vocabulary import CHARACTERS, IDENTIFIER, OPERATORS, symbol_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_SLOTS = 512
_HALF = 8
_LONGEST = 2 * _HALF
_ASCII = 128
# An odd multiplier that spreads the words (Knuth, The Art of Computer Programming 3, section 6.4).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(55)
_BYTE = np.uint64(8)
_ZERO = np.uint64(0)


def _halves(word: str) -> tuple[np.uint64, np.uint64]:
    """A word of up to 16 ASCII characters as two numbers."""
    raw = word.encode("ascii")
    return np.uint64(int.from_bytes(raw[:_HALF], "big")), np.uint64(int.from_bytes(raw[_HALF:_LONGEST], "big"))


def _table(words: Iterable[str]) -> NDArray[np.uint64]:
    """A hash table of `words` with linear probing, shape (_SLOTS, 3): both halves of a word, and its symbol."""
    table = np.zeros((_SLOTS, 3), dtype=np.uint64)
    for word in sorted(words):
        low, high = _halves(word)
        spread = (int(low) ^ (int(high) * int(_FOLD))) * int(_SPREAD) % 2**64
        slot = spread >> int(_SHIFT)
        while table[slot, 2]:
            slot = (slot + 1) % _SLOTS
        table[slot] = low, high, symbol_of(word)
    return table


_TABLES = np.stack([_table(HASH_KEYWORDS), _table(SLASH_KEYWORDS)])

# Every character of an operator of two characters has a number from 1; a pair's symbol stands at both numbers.
_PARTS = np.zeros(_ASCII, dtype=np.int64)
_PAIRS = np.zeros((32, 32), dtype=np.int32)
for _operator in OPERATORS:
    for _character in _operator:
        if not _PARTS[ord(_character)]:
            _PARTS[ord(_character)] = _PARTS.max() + 1
for _operator in OPERATORS:
    if len(_operator) == 2:  # noqa: PLR2004 - a pair
        _PAIRS[_PARTS[ord(_operator[0])], _PARTS[ord(_operator[1])]] = symbol_of(_operator)
_EQUAL, _UNEQUAL = symbol_of("=="), symbol_of("!=")
_SAME, _NOT_SAME, _ELLIPSIS = symbol_of("==="), symbol_of("!=="), symbol_of("...")
_EQUALS, _DOT = ord("="), ord(".")


@part
def word_symbol(text: NDArray[np.uint32], start: int, end: int, syntax: int) -> np.int64 | int:
    """The symbol of the word text[start:end]: that of a keyword of the syntax, or IDENTIFIER."""
    if end - start > _LONGEST:
        return IDENTIFIER
    low, high = _ZERO, _ZERO
    for at in range(start, end):
        if text[at] >= _ASCII:
            return IDENTIFIER
        if at - start < _HALF:
            low = (low << _BYTE) | np.uint64(text[at])
        else:
            high = (high << _BYTE) | np.uint64(text[at])
    slot = np.int64(((low ^ (high * _FOLD)) * _SPREAD) >> _SHIFT)
    while _TABLES[syntax, slot, 2] != _ZERO:
        if _TABLES[syntax, slot, 0] == low and _TABLES[syntax, slot, 1] == high:
            return np.int64(_TABLES[syntax, slot, 2])
        slot = (slot + 1) % _SLOTS
    return IDENTIFIER


@part
def operator_at(text: NDArray[np.uint32], at: int, end: int) -> tuple[np.int64 | int, int]:
    """The symbol and the length of the operator at text[at]; any character is one."""
    first = np.int64(text[at])
    single = CHARACTERS + first
    if first >= _ASCII or at + 1 >= end:
        return single, 1
    second = np.int64(text[at + 1])
    third = np.int64(text[at + 2]) if at + 2 < end else 0
    if second >= _ASCII:
        return single, 1
    if first == _DOT and second == _DOT and third == _DOT:
        return _ELLIPSIS, 3
    pair = np.int64(_PAIRS[_PARTS[first], _PARTS[second]])
    if third == _EQUALS and pair == _EQUAL:
        return _SAME, 3
    if third == _EQUALS and pair == _UNEQUAL:
        return _NOT_SAME, 3
    return (pair, 2) if pair else (single, 1)
