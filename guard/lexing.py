"""Code to tokens: one pass over a text in either syntax. Knows what hides in comments by its place only."""

from __future__ import annotations

import numpy as np

from guard.characters import (
    BACKSLASH,
    DIGIT,
    HASH,
    NEWLINE,
    PREFIX,
    QUOTE,
    SINGLE,
    SLASH,
    SPACE,
    STAR,
    TICK,
    UNSEEN,
    WIDE,
    WORD,
)
from guard.extents import (
    TRIPLE,
    block_end,
    is_triple,
    lifetime_end,
    line_end,
    multiline_end,
    number_end,
    prefix_end,
    quoted_end,
    word_end,
)
from guard.kernels import constant, part
from guard.lexicon import operator_at, word_symbol
from guard.page import PASSING, SYMBOL, TOKENS, Page, add, add_string, drop_comma, hide
from guard.syntax import HASH_CODE, SLASH_CODE
from guard.vocabulary import NUMBER, symbol_of

LONG_STRING = 24
"""Characters of a string beyond which it may hold code."""
BOUND = constant(200)
"""The longest character literal: in the slash languages an apostrophe may also be a lifetime or stand in prose."""
# Looking further back for the start of a line would make a line of quotes quadratic.
_INDENT_LIMIT = 200
LIFETIME = constant(symbol_of("'"))
NUMERAL = constant(NUMBER)
_L = ord("L")
_ONE = constant(1)
# A triple-quoted string after one of these is a value; anywhere else at the start of a line it is a docstring.
_VALUE_WORDS = "= ( [ { , + % return in is and or not == += else if yield"
_VALUE_BEFORE = np.array([symbol_of(word) for word in _VALUE_WORDS.split()], dtype=np.int32)


@part
def scan(page: Page, begin: int, syntax: int) -> None:
    """Read the text from `begin` to its end.

    After the first string or comment over several lines that does not end, the marks of such are passed over, so that
    nothing hides behind them.
    """
    at, end = begin, len(page.text)
    while at < end:
        flags = page.classes[page.text[at]]
        if flags & SPACE:
            at += 1
        elif flags & WORD:
            at = _word(page, at, flags, syntax)
        elif flags & QUOTE:
            at = _quotation(page, at, syntax)
        else:
            at = _sign(page, at, flags, syntax)


@part
def _word(page: Page, at: int, flags: int, syntax: int) -> int:
    """Take the name, keyword, number or prefixed string at text[at]; return the place behind it."""
    text, end = page.text, len(page.text)
    if flags & DIGIT:
        stop = number_end(text, page.classes, at, end)
        add(page, NUMERAL, at, stop)
        return stop
    if flags & (PREFIX | WIDE):
        quote = prefix_end(text, page.classes, at, end)
        stop = _prefixed(page, at, quote, syntax) if quote > at else at
        if stop > at:
            return stop
    stop = word_end(text, page.classes, at, end)
    add(page, word_symbol(text, at, stop, syntax), at, stop)
    return stop


@part
def _prefixed(page: Page, start: int, quote: int, syntax: int) -> int:
    """Take the string whose prefix stands at `start`; return the place behind it, or `start` if it is none."""
    text = page.text
    wide = text[start] == _L or text[quote - 1] == _L
    if not wide and not page.counts[PASSING] and is_triple(text, quote, len(text)):
        return _multiline(page, start, quote, TRIPLE)
    if syntax == SLASH_CODE and text[quote] == SINGLE:
        return start
    return _string(page, start, quote)


@part
def _quotation(page: Page, at: int, syntax: int) -> int:
    """Take what begins with the quote at text[at]; return the place behind it."""
    text = page.text
    if text[at] == TICK:
        if syntax == HASH_CODE or page.counts[PASSING]:
            return at + 1
        return _multiline(page, at, at, _ONE)
    if is_triple(text, at, len(text)):
        return at + TRIPLE if page.counts[PASSING] else _multiline(page, at, at, TRIPLE)
    if syntax == SLASH_CODE and text[at] == SINGLE:
        return _apostrophe(page, at)
    return _string(page, at, at)


@part
def _apostrophe(page: Page, at: int) -> int:
    """Take a lifetime or a character literal; else pass over the apostrophe."""
    text, end = page.text, len(page.text)
    stop = lifetime_end(text, page.classes, at, end)
    if stop > at:
        add(page, LIFETIME, at, stop)
        return stop
    stop = quoted_end(text, at, end, BOUND)
    if stop < end and text[stop] == SINGLE:
        return _take_string(page, at, at, stop + 1)
    return at + 1


@part
def _string(page: Page, start: int, quote: int) -> int:
    """Take the string on one line whose prefix stands at `start` and whose quote at `quote`; it may lack its end."""
    text, end = page.text, len(page.text)
    stop = quoted_end(text, quote, end, end)
    return _take_string(page, start, quote, stop + 1 if stop < end and text[stop] == text[quote] else stop)


@part
def _take_string(page: Page, start: int, quote: int, end: int) -> int:
    """Take text[start:end], a string on one line; if it is long, what it holds may be code as well."""
    text, opened = page.text, quote + 1
    closes = end > opened and text[end - 1] == text[quote]
    value_end = end - 1 if closes or (end > opened and text[end - 1] == NEWLINE) else end
    add_string(page, start, end, opened, value_end)
    if end - start > LONG_STRING:
        hide(page, opened, end - 1 if closes else end)
    return end


@part
def _multiline(page: Page, start: int, quote: int, width: int) -> int:
    """Take a string over several lines; if it does not end, return the place behind its opening mark."""
    text, end, opened = page.text, len(page.text), quote + width
    stop = multiline_end(text, quote, width)
    if stop >= end:
        # A text that ends in an escaped quote and enough others counts as closed.
        stop = end - width
        if stop < opened or text[stop] != text[quote] or (width == TRIPLE and not is_triple(text, stop, end)):
            page.counts[PASSING] = 1
            return opened
    if width == TRIPLE and _is_docstring(page, start):
        hide(page, opened, stop)
        return stop + width
    add_string(page, start, stop + width, opened, stop)
    if line_end(text, opened, stop) < stop:
        hide(page, opened, stop)
    return stop + width


@part
def _is_docstring(page: Page, start: int) -> bool:
    """Whether only blanks stand before text[start] on its line, and nothing before that whose value it would be."""
    at, lowest = start - 1, max(0, start - _INDENT_LIMIT)
    while at >= lowest and page.text[at] != NEWLINE:
        if not page.classes[page.text[at]] & SPACE:
            return False
        at -= 1
    count = page.counts[TOKENS]
    if count == 0:
        return True
    last = page.columns[SYMBOL, count - 1]
    for symbol in _VALUE_BEFORE:  # noqa: SIM110 - kernels have no generators
        if last == symbol:
            return False
    return True


@part
def _sign(page: Page, at: int, flags: int, syntax: int) -> int:
    """Take the comment or operator at text[at], or pass over what means nothing; return the place behind it."""
    text, end = page.text, len(page.text)
    character = text[at]
    following = text[at + 1] if at + 1 < end else np.uint32(0)
    is_slash = syntax == SLASH_CODE and character == SLASH
    if (syntax == HASH_CODE and character == HASH) or (is_slash and following == SLASH):
        stop = line_end(text, at, end)
        hide(page, at, stop)
        return stop
    if is_slash and following == STAR:
        return _block(page, at)
    if flags & UNSEEN:
        return at + 1
    if character == BACKSLASH and following == NEWLINE:
        return at + 2
    symbol, length = operator_at(text, at, end)
    drop_comma(page, symbol)
    add(page, symbol, at, at + length)
    return at + length


@part
def _block(page: Page, at: int) -> int:
    """Take the comment over several lines at text[at]; if it does not end, return the place behind its mark."""
    opened, end = at + 2, len(page.text)
    if page.counts[PASSING]:
        return opened
    stop = block_end(page.text, opened, end)
    if stop >= end:
        page.counts[PASSING] = 1
        return opened
    hide(page, opened, stop)
    return stop + 2
