"""Python's parentheses that group taken out of a stream: `return (a, b)` says what `return a, b` says. Knows no hints.

What stands behind a name, a string or a closing bracket calls or indexes and stays; so does `()`. All others may be
added and left out freely, by a formatter or by whoever wants a copy to look different.
"""

from __future__ import annotations

import numpy as np

from guard.kernels import ZERO, part
from guard.page import COLUMNS, SYMBOL, TOKENS, Page
from guard.vocabulary import IDENTIFIER, STRING, symbol_of

_OPEN, _CLOSE = symbol_of("("), symbol_of(")")
_BEFORE_CALLS = np.array([IDENTIFIER, STRING, symbol_of(")"), symbol_of("]"), symbol_of("}")], dtype=np.int32)


@part
def drop_grouping(page: Page) -> None:
    """Take the pairs out of the page's tokens. Linear; of one whose other half is cut off, an opening one goes."""
    symbols, count = page.columns[SYMBOL], page.counts[TOKENS]
    dropped = np.empty(count, dtype=np.bool_)  # of the pairs that are open, from the outermost on
    kept, depth, before = ZERO, ZERO, np.int32(0)
    for i in range(count):
        symbol, gone = symbols[i], False
        if symbol == _OPEN:
            empty = i + 1 < count and symbols[i + 1] == _CLOSE
            gone = not empty and not _calls(before)
            dropped[depth] = gone
            depth += 1
        elif symbol == _CLOSE and depth:
            depth -= 1
            gone = dropped[depth]
        before = symbol
        if not gone:
            if kept < i:
                for column in range(COLUMNS):
                    page.columns[column, kept] = page.columns[column, i]
            kept += 1
    page.counts[TOKENS] = kept


@part
def _calls(before: np.int32) -> bool:
    for symbol in _BEFORE_CALLS:  # noqa: SIM110 - numba knows no any() of a generator
        if before == symbol:
            return True
    return False
