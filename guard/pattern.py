"""What renaming leaves of names: which of them a language defines, and where one comes again. Knows no keys.

Renamed tokens would all be one symbol. Yet whoever renames code consistently, as it must be for the code to work, keeps
two things: the names that the language itself defines (`len`, `self`, `String`), and which names are equal. The second
is Baker's parameterized matching (Parameterized pattern matching: algorithms and applications, JCSS 52, 1996): a name
is written as the distance to where it stood before, if that is near.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.kernels import kernel, part
from guard.keywords import GIVEN_NAMES
from guard.vocabulary import IDENTIFIER, NEAR, REPEATED, given_symbol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from guard.stream import TokenStream

_SLOTS = 2048
_SHIFT = np.uint64(53)
_SPREAD = 0x9E3779B97F4A7C15
_LONGEST, _SHORTEST = max(map(len, GIVEN_NAMES)), min(map(len, GIVEN_NAMES))
_ASCII = 128
_SMALL_A, _SMALL_Z = ord("a"), ord("z")
_NUMBERS = np.uint64(_SPREAD)
_ONE = np.uint64(1)


def _hash(word: str) -> int:
    value = 0
    for character in word:
        value = (value ^ (ord(character) + 1)) * _SPREAD % 2**64
        value ^= value >> 32
    return value or 1


def _tables() -> NDArray[np.uint64]:
    """Hash tables with linear probing, shape (2, _SLOTS, 2): of the names as they are, and in capitals only."""
    tables = np.zeros((2, _SLOTS, 2), dtype=np.uint64)
    for capitals, table in enumerate(tables):
        for name in sorted(GIVEN_NAMES):
            key = _hash(name.upper() if capitals else name)
            slot = key >> int(_SHIFT)
            while table[slot, 0] not in {0, key}:
                slot = (slot + 1) % _SLOTS
            table[slot] = key, given_symbol(name)
    return tables


_TABLES = _tables()


def pattern_of(stream: TokenStream) -> NDArray[np.int32]:
    """The pattern of a stream, see `patterned`."""
    return _pattern(stream.text, stream.symbols, stream.value_starts, stream.value_ends)


@kernel
def _pattern(
    text: NDArray[np.uint32], symbols: NDArray[np.int32], starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> NDArray[np.int32]:
    return patterned(text, symbols, starts, ends)


@part
def patterned(
    text: NDArray[np.uint32], symbols: NDArray[np.int32], starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The symbols with names told apart, shape (n,).

    A given name has its own symbol, one that stands among the NEAR tokens before it REPEATED and the distance.
    `starts` and `ends` are those of the tokens' values.
    """
    pattern = symbols.copy()
    for at in range(len(symbols)):
        if symbols[at] != IDENTIFIER:
            continue
        given = _given(text, starts[at], ends[at])
        if given:
            pattern[at] = given
            continue
        for back in range(1, min(NEAR, at) + 1):
            if symbols[at - back] == IDENTIFIER and _equal(text, starts, ends, at, at - back):
                pattern[at] = REPEATED + back
                break
    return pattern


@part
def within(symbol: int, behind: int) -> int:
    """A symbol of the pattern as a run sees it that begins `behind` tokens before: what is repeated must be in it."""
    if REPEATED < symbol <= REPEATED + NEAR and symbol - REPEATED > behind:
        return IDENTIFIER
    return symbol


@part
def _equal(text: NDArray[np.uint32], starts: NDArray[np.int32], ends: NDArray[np.int32], one: int, two: int) -> bool:
    length = ends[one] - starts[one]
    if ends[two] - starts[two] != length:
        return False
    for at in range(length):  # noqa: SIM110 - numba knows no all() of a generator
        if text[starts[one] + at] != text[starts[two] + at]:
            return False
    return True


@part
def _given(text: NDArray[np.uint32], start: int, end: int) -> np.int64 | int:
    """The symbol of the name text[start:end] if it is a given one, as it is written or all in capitals; else 0."""
    if end - start > _LONGEST or end - start < _SHORTEST:
        return 0
    capitals, value = 1, np.uint64(0)
    for at in range(start, end):
        if text[at] >= _ASCII:
            return 0
        if _SMALL_A <= text[at] <= _SMALL_Z:
            capitals = 0
        value = (value ^ np.uint64(text[at] + 1)) * _NUMBERS
        value ^= value >> np.uint64(32)
    value = max(value, _ONE)
    slot = np.int64(value >> _SHIFT)
    while _TABLES[capitals, slot, 0] != 0:
        if _TABLES[capitals, slot, 0] == value:
            return np.int64(_TABLES[capitals, slot, 1])
        slot = (slot + 1) % _SLOTS
    return 0
