"""Where names, numbers, strings and comments end. Every function looks at text[at:end] and knows nothing before it.

All are linear in what they pass over; what they do not pass over again is up to the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.characters import (
    BACKSLASH,
    COMMA,
    DIGIT,
    DOT,
    DOUBLE,
    NEWLINE,
    PREFIX,
    SINGLE,
    SLASH,
    SPACE,
    STAR,
    WIDE,
    WORD,
    points_of,
)
from guard.kernels import constant, part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIPLE = constant(3)
"""Quotes of a string over several lines."""
_LOWER_A, _LOWER_Z, _UNDERSCORE = ord("a"), ord("z"), ord("_")
_AND, _LESS, _MORE, _PLUS = ord("&"), ord("<"), ord(">"), ord("+")
_STATIC = points_of("static")


@part
def word_end(text: NDArray[np.uint32], classes: NDArray[np.uint8], at: int, end: int) -> int:
    """Behind the characters of a word that stand at text[at:end]."""
    while at < end and classes[text[at]] & WORD:
        at += 1
    return at


@part
def number_end(text: NDArray[np.uint32], classes: NDArray[np.uint8], at: int, end: int) -> int:
    """Behind the number at text[at]: digits and letters, with at most one dot before a digit."""
    at = word_end(text, classes, at, end)
    if at + 1 < end and text[at] == DOT and classes[text[at + 1]] & DIGIT:
        at = word_end(text, classes, at + 1, end)
    return at


@part
def prefix_end(text: NDArray[np.uint32], classes: NDArray[np.uint8], at: int, end: int) -> int:
    """The quote behind the one or two letters of a string's prefix at text[at]; `at` if there is none."""
    stop = at + 1
    if stop < end and classes[text[stop]] & (PREFIX | WIDE):
        stop += 1
    if stop < end and (text[stop] == DOUBLE or text[stop] == SINGLE):
        return stop
    return at


@part
def is_triple(text: NDArray[np.uint32], at: int, end: int) -> bool:
    """Whether three equal quotes stand at text[at]."""
    mark = text[at]
    if at + 2 >= end or (mark not in (DOUBLE, SINGLE)):
        return False
    return bool(text[at + 1] == mark and text[at + 2] == mark)


@part
def quoted_end(text: NDArray[np.uint32], at: int, end: int, limit: int) -> int:
    """Where a string on one line ends that opens at text[at]: at its closing quote if it has one.

    Else at the line's end, at a backslash that ends the text, or behind `limit` characters (escaped ones count once).
    """
    quote = text[at]
    at += 1
    while at < end and limit > 0:
        character = text[at]
        if character == quote:
            break
        if character == NEWLINE:
            break
        if character == BACKSLASH:
            if at + 1 >= end:
                break
            at += 1
        at += 1
        limit -= 1
    return at


@part
def multiline_end(text: NDArray[np.uint32], quote: int, width: int) -> int:
    """Where the `width` quotes stand that close a string over several lines; the text's end if there are none.

    The string opens with `width` quotes at text[quote].
    """
    mark, end = text[quote], len(text)
    at = quote + width
    while at < end:
        character = text[at]
        if character == BACKSLASH:
            at += 1
        elif character == mark and (width == 1 or is_triple(text, at, end)):
            return at
        at += 1
    return end


@part
def block_end(text: NDArray[np.uint32], at: int, end: int) -> int:
    """Where the mark stands that closes a comment over several lines; the end if there is none."""
    while at + 1 < end:
        if text[at] == STAR and text[at + 1] == SLASH:
            return at
        at += 1
    return end


@part
def line_end(text: NDArray[np.uint32], at: int, end: int) -> int:
    """The next line feed, or the end."""
    while at < end and text[at] != NEWLINE:
        at += 1
    return at


@part
def lifetime_end(text: NDArray[np.uint32], classes: NDArray[np.uint8], at: int, end: int) -> int:
    """Behind the lifetime of Rust (`'a`, `'static`) whose apostrophe stands at text[at]; `at` if it is none."""
    if at + 1 >= end:
        return at
    first = text[at + 1]
    is_lower = first >= _LOWER_A and first <= _LOWER_Z
    if at > 0 and (text[at - 1] == _AND or text[at - 1] == _LESS) and (is_lower or first == _UNDERSCORE):
        stop = word_end(text, classes, at + 1, end)
        if stop >= end or text[stop] != SINGLE:
            return stop
    if stands_at(text, at + 1, end, _STATIC) and _ends_lifetime(text, classes, at + 1 + len(_STATIC), end):
        return at + 1 + len(_STATIC)
    return at + 2 if is_lower and _ends_lifetime(text, classes, at + 2, end) else at


@part
def _ends_lifetime(text: NDArray[np.uint32], classes: NDArray[np.uint8], at: int, end: int) -> bool:
    """Whether a sign stands at text[at] that only a lifetime has behind it: `>`, `,`, or `+` or `>` behind a blank."""
    if at >= end:
        return False
    if text[at] == COMMA or text[at] == _MORE or text[at] == _PLUS:
        return True
    if not classes[text[at]] & SPACE or at + 1 >= end:
        return False
    return bool(text[at + 1] == _PLUS or text[at + 1] == _MORE)


@part
def stands_at(text: NDArray[np.uint32], at: int, end: int, word: NDArray[np.uint32]) -> bool:
    """Whether text[at:end] begins with `word`."""
    if at + len(word) > end:
        return False
    for i in range(len(word)):  # noqa: SIM110 - kernels have no generators
        if text[at + i] != word[i]:
            return False
    return True


@part
def is_one_of(character: np.uint32 | int, characters: NDArray[np.uint32]) -> bool:
    """Whether a character is one of a few."""
    for one in characters:  # noqa: SIM110 - kernels have no generators
        if character == one:
            return True
    return False
