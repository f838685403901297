"""Python's type hints taken out of a stream, since a translation adds or drops them freely. Knows no other language.

A hint is what stands between `:` and `,`, `=` or `)` in the parameters of a `def`, between `->` and `:` behind them,
and between `:` and `=` or the line's end behind a name (`x`, `self.x`) that begins a statement. What is too long for
one, has a statement in it or does not end is none: code that nobody compares must not hide behind a colon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.characters import NEWLINE, SPACE
from guard.extents import line_end
from guard.kernels import ZERO, part
from guard.keywords import HASH_KEYWORDS
from guard.page import COLUMNS, END, START, SYMBOL, TOKENS, Page
from guard.vocabulary import CHARACTERS, IDENTIFIER, symbol_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

HINT_LIMIT = 32
"""Tokens of the longest hint."""
_INDENT_LIMIT = 200
_STATEMENT_WORDS = np.zeros(max(map(symbol_of, HASH_KEYWORDS)) + 1, dtype=np.bool_)
_STATEMENT_WORDS[[symbol_of(word) for word in HASH_KEYWORDS - {"None", "True", "False"}]] = True
_DEF, _ARROW = symbol_of("def"), symbol_of("->")
_COLON, _COMMA, _EQUALS, _DOT = symbol_of(":"), symbol_of(","), symbol_of("="), symbol_of(".")
_ROUND, _SQUARE, _CURLY = symbol_of("("), symbol_of("["), symbol_of("{")
_ROUND_END, _SQUARE_END, _CURLY_END = symbol_of(")"), symbol_of("]"), symbol_of("}")
# What ends a hint of a name, of a parameter, of what a function returns; -1 is no symbol.
_NAME_ENDS = np.array([_EQUALS, -1, -1], dtype=np.int32)
_PARAMETER_ENDS = np.array([_COMMA, _EQUALS, _ROUND_END], dtype=np.int32)
_RETURN_ENDS = np.array([_COLON, -1, -1], dtype=np.int32)


@part
def drop_hints(page: Page) -> None:
    """Take the hints out of the page's tokens. Linear; a `def` that never closes is read to the end of the text."""
    symbols, count = page.columns[SYMBOL], page.counts[TOKENS]
    kept, depth, i = ZERO, 0, ZERO
    while i < count:
        symbol = symbols[i]
        kept = _keep(page, kept, i)
        i += 1
        if symbol == IDENTIFIER:
            if depth == 0 and i < count and symbols[i] in (_DOT, _COLON) and _begins_line(page, i - 1):
                kept, i = _annotated(page, kept, i)
        elif symbol == _DEF:
            if i + 1 < count and symbols[i] == IDENTIFIER and symbols[i + 1] == _ROUND:
                kept = _keep(page, _keep(page, kept, i), i + 1)
                kept, i = _signature(page, kept, i + 2)
        else:
            depth = max(0, depth + _deeper(symbol))
    page.counts[TOKENS] = kept


@part
def _keep(page: Page, kept: int, i: int) -> int:
    """Move token `i` to the place `kept`, never behind its own; return the next place."""
    if kept < i:
        for column in range(COLUMNS):
            page.columns[column, kept] = page.columns[column, i]
    return kept + 1


@part
def _deeper(symbol: int) -> int:
    """1 for an opening bracket, -1 for a closing one, 0 for any other symbol."""
    if symbol < CHARACTERS:
        return 0
    if symbol in (_ROUND, _SQUARE, _CURLY):
        return 1
    return -1 if symbol in (_ROUND_END, _SQUARE_END, _CURLY_END) else 0


@part
def _annotated(page: Page, kept: int, i: int) -> tuple[int, int]:
    """Keep the rest of a name that begins a line, from behind its first part, and pass over its hint."""
    symbols, count = page.columns[SYMBOL], page.counts[TOKENS]
    while i + 1 < count and symbols[i] == _DOT and symbols[i + 1] == IDENTIFIER:
        kept = _keep(page, _keep(page, kept, i), i + 1)
        i += 2
    if i < count and symbols[i] == _COLON:
        i = _hint_end(symbols, i, _line_end(page, i), _NAME_ENDS)
    return kept, i


@part
def _signature(page: Page, kept: int, i: int) -> tuple[int, int]:
    """Keep a signature's tokens but its hints, from behind its `(` to its `:`; return the place of that."""
    symbols, count, depth = page.columns[SYMBOL], page.counts[TOKENS], 1
    while i < count and depth:
        symbol = symbols[i]
        if symbol == _COLON and depth == 1 and symbols[i - 1] == IDENTIFIER:
            end = _hint_end(symbols, i, count, _PARAMETER_ENDS)
            if end > i:
                i = end
                continue
        depth += _deeper(symbol)
        kept = _keep(page, kept, i)
        i += 1
    if i < count and symbols[i] == _ARROW:
        i = _hint_end(symbols, i, count, _RETURN_ENDS)
    return kept, i


@part
def _hint_end(symbols: NDArray[np.int32], mark: int, limit: int, ends: NDArray[np.int32]) -> int:
    """Where the hint behind `mark` ends: at the first of `ends` outside brackets or at `limit`; `mark` if none does."""
    depth = 0
    for at in range(mark + 1, min(limit, mark + HINT_LIMIT + 2)):
        symbol = symbols[at]
        if depth == 0 and (symbol == ends[0] or symbol == ends[1] or symbol == ends[2]):
            return at
        if symbol < len(_STATEMENT_WORDS) and _STATEMENT_WORDS[symbol]:
            return mark
        if depth == 0 and symbol == _COMMA:
            return mark  # a fragment of a dictionary has commas where a statement has none
        depth += _deeper(symbol)
    return limit if depth == 0 and limit - mark - 1 <= HINT_LIMIT else mark


@part
def _begins_line(page: Page, i: int) -> bool:
    """Whether only blanks stand before token `i` on its line."""
    at = page.columns[START, i] - 1
    lowest = max(0, at + 1 - _INDENT_LIMIT)
    while at >= lowest and page.text[at] != NEWLINE:
        if not page.classes[page.text[at]] & SPACE:
            return False
        at -= 1
    return True


@part
def _line_end(page: Page, i: int) -> int:
    """The first token behind `i` outside brackets on another line, looked for no further than a hint may reach."""
    last: int = min(page.counts[TOKENS], i + HINT_LIMIT + 2)
    depth = 0
    while i < last:
        depth += _deeper(page.columns[SYMBOL, i])
        i += 1
        if depth <= 0 and i < last:
            gap, behind = page.columns[END, i - 1], page.columns[START, i]
            if line_end(page.text, gap, behind) < behind:
                return i
    return last
