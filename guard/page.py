"""What the lexer's kernels write on: the tokens of one text and the places of its comments. Knows no syntax."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from guard.kernels import constant, part
from guard.vocabulary import STRING, symbol_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SYMBOL, START, END, VALUE_START, VALUE_END = range(5)
"""The columns of a page."""
COLUMNS = 5
TOKENS, HIDDEN, PASSING = range(3)
"""What is counted: tokens, hidden stretches, and (0 or 1) whether marks over several lines are passed over."""
COUNTS = 3
_STRING = constant(STRING)
_COMMA = symbol_of(",")
_ROUND, _SQUARE, _CURLY = symbol_of(")"), symbol_of("]"), symbol_of("}")


class Page(NamedTuple):
    """One text and what was read of it.

    `text`: uint32, code points. `classes`: uint8, guard.characters.classes(). `columns`: int32, shape
    (COLUMNS, capacity). `hidden`: int64, shape (capacity, 2), starts and ends of what stands in comments and strings.
    `counts`: int64, shape (COUNTS,).
    """

    text: NDArray[np.uint32]
    classes: NDArray[np.uint8]
    columns: NDArray[np.int32]
    hidden: NDArray[np.int64]
    counts: NDArray[np.int64]


@part
def add(page: Page, symbol: np.int64 | int, start: int, end: int) -> None:
    """Add the token text[start:end]."""
    at = page.counts[TOKENS]
    page.columns[SYMBOL, at] = symbol
    page.columns[START, at] = start
    page.columns[END, at] = end
    page.columns[VALUE_START, at] = start
    page.columns[VALUE_END, at] = end
    page.counts[TOKENS] = at + 1


@part
def add_string(page: Page, start: int, end: int, value_start: int, value_end: int) -> None:
    """Add the string text[start:end], told from others by text[value_start:value_end]."""
    add(page, _STRING, start, end)
    at = page.counts[TOKENS] - 1
    page.columns[VALUE_START, at] = value_start
    page.columns[VALUE_END, at] = value_end


@part
def drop_comma(page: Page, closer: np.int64 | int) -> None:
    """Take back a comma before a closing bracket: a formatter's trailing comma is layout."""
    if closer not in (_ROUND, _SQUARE, _CURLY):
        return
    count = page.counts[TOKENS]
    if count and page.columns[SYMBOL, count - 1] == _COMMA:
        page.counts[TOKENS] = count - 1


@part
def hide(page: Page, start: int, end: int) -> None:
    """Note text[start:end] as standing in a comment or string."""
    at = page.counts[HIDDEN]
    page.hidden[at, 0] = start
    page.hidden[at, 1] = end
    page.counts[HIDDEN] = at + 1
