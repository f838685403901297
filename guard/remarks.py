"""The words inside comments and strings, read as if they were code. Knows not where comments are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.characters import (
    BACKSLASH,
    DIGIT,
    HASH,
    NEWLINE,
    QUOTE,
    SINGLE,
    SLASH,
    SPACE,
    STAR,
    TICK,
    UNSEEN,
    WORD,
    points_of,
)
from guard.extents import TRIPLE, is_one_of, is_triple, lifetime_end, number_end, quoted_end, word_end
from guard.kernels import part
from guard.lexicon import operator_at, word_symbol
from guard.lexing import BOUND, LIFETIME, NUMERAL
from guard.page import Page, add, add_string
from guard.syntax import HASH_CODE, SLASH_CODE

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Signs for a line's end and the like, and what may follow the mark of a comment.
_ESCAPED = points_of("ntr\"'\\/")
_MARKS = points_of("#/!*")


@part
def scan_remark(page: Page, begin: int, end: int, syntax: int) -> None:
    """Read text[begin:end], the inside of a comment or string.

    The marks of comments are passed over, as are the stars that begin a comment's lines and the signs for a line's
    end: what stands behind them is read like the rest.
    """
    at = begin
    while at < end:
        flags = page.classes[page.text[at]]
        if flags & SPACE:
            at = _blanks(page, at, end, syntax)
        elif flags & WORD:
            at = _word(page, at, end, syntax)
        elif flags & QUOTE:
            at = _quotation(page, at, end, syntax)
        else:
            at = _sign(page, at, end, syntax)


@part
def _blanks(page: Page, at: int, end: int, syntax: int) -> int:
    """Pass over white space and, in the slash languages, the stars that begin the line behind it."""
    lines = False
    while at < end and page.classes[page.text[at]] & SPACE:
        lines |= page.text[at] == NEWLINE
        at += 1
    if lines and syntax == SLASH_CODE:
        while at < end and page.text[at] == STAR:
            at += 1
    return at


@part
def _word(page: Page, at: int, end: int, syntax: int) -> int:
    if page.classes[page.text[at]] & DIGIT:
        stop = number_end(page.text, page.classes, at, end)
        add(page, NUMERAL, at, stop)
        return stop
    stop = word_end(page.text, page.classes, at, end)
    add(page, word_symbol(page.text, at, stop, syntax), at, stop)
    return stop


@part
def _quotation(page: Page, at: int, end: int, syntax: int) -> int:
    """Take a string with both its quotes; pass over other quotes."""
    text = page.text
    if text[at] == TICK:
        return at + 1
    if is_triple(text, at, end):
        return at + TRIPLE
    if syntax == SLASH_CODE and text[at] == SINGLE:
        stop = lifetime_end(text, page.classes, at, end)
        if stop > at:
            add(page, LIFETIME, at, stop)
            return stop
    stop = quoted_end(text, at, end, BOUND)
    if stop < end and text[stop] == text[at]:
        add_string(page, at, stop + 1, at + 1, stop)
        return stop + 1
    return at + 1


@part
def _sign(page: Page, at: int, end: int, syntax: int) -> int:
    """Take the operator at text[at], or pass over a mark or what means nothing."""
    text = page.text
    character = text[at]
    following = text[at + 1] if at + 1 < end else np.uint32(0)
    if character == BACKSLASH and (following == NEWLINE or is_one_of(following, _ESCAPED)):
        return at + 2
    if syntax == HASH_CODE and character == HASH:
        return _marks_end(text, at + 1, end)
    if syntax == SLASH_CODE and character == SLASH and following == SLASH:
        return _marks_end(text, at + 2, end)
    if syntax == SLASH_CODE and character == SLASH and following == STAR:
        return at + 2
    if page.classes[character] & UNSEEN:
        return at + 1
    symbol, length = operator_at(text, at, end)
    add(page, symbol, at, at + length)
    return at + length


@part
def _marks_end(text: NDArray[np.uint32], at: int, end: int) -> int:
    while at < end and is_one_of(text[at], _MARKS):
        at += 1
    return at
