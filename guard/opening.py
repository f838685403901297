"""Where code begins in a fragment, which may start inside a string or comment over several lines. Knows no tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.characters import (
    BACKSLASH,
    BRACKET,
    COLON,
    DIGIT,
    DOT,
    DOUBLE,
    HASH,
    NEWLINE,
    PREFIX,
    RETURN,
    SINGLE,
    SLASH,
    SPACEBAR,
    STAR,
    TAB,
    WORD,
    points_of,
)
from guard.extents import TRIPLE, block_end, is_one_of, is_triple, line_end, stands_at, word_end
from guard.kernels import ZERO, constant, part
from guard.syntax import HASH_CODE, SLASH_CODE

if TYPE_CHECKING:
    from numpy.typing import NDArray


_OPENING = points_of(":=([{,+%")
_CALLS = points_of("(=[")
_IMPORT = points_of("import")
_I, _UNDERSCORE = ord("i"), ord("_")
_HASH_CODE = constant(HASH_CODE)
_NO_MARK, _BOTH_MARKS = np.int64(0), np.int64(DOUBLE + SINGLE)
_OPENS = 200
"""What a triple quote behind one of _OPENING weighs against marks of code."""
_PROSE = 3
"""Words in a row that look like prose, and what they weigh."""
_SHORTEST, _LONGEST = 2, 20
"""Letters of a word of prose."""
# Looking further back for what stands before a mark would make a text of blanks and marks quadratic.
_INDENT_LIMIT = 200


@part
def start_of_code(text: NDArray[np.uint32], classes: NDArray[np.uint8], syntax: int) -> int:
    """Where code begins, if the text starts inside a multi-line string or comment; 0 if it does not."""
    end = len(text)
    if syntax == SLASH_CODE:
        close = block_end(text, ZERO, end)
        # A regular expression or a pattern of files (`/a*/`, `"*/5"`) is no end of a comment: code stands before it.
        if close < end and not _has_block(text, close) and _codeness(text, classes, ZERO, close, syntax) <= 0:
            return close + 2
        return 0
    at = _next_triple(text, ZERO)
    if at >= end:
        return 0
    marks, count = np.empty(end // TRIPLE, dtype=np.int64), 0
    while at < end:
        marks[count] = at
        count += 1
        at = _next_triple(text, at + TRIPLE)
    return _after_string(text, classes, marks[:count])


@part
def _has_block(text: NDArray[np.uint32], end: int) -> bool:
    for at in range(end - 1):  # noqa: SIM110 - kernels have no generators
        if text[at] == SLASH and text[at + 1] == STAR:
            return True
    return False


@part
def _next_triple(text: NDArray[np.uint32], at: int) -> int:
    """Where the next three equal quotes stand; the text's end if there are none."""
    end = len(text)
    while at < end and not is_triple(text, at, end):
        at += 1
    return at


@part
def _after_string(text: NDArray[np.uint32], classes: NDArray[np.uint8], marks: NDArray[np.int64]) -> int:
    """Where code begins under the most plausible reading of a text's triple quotes, which stand at `marks`.

    The text begins outside strings, or inside one of either mark; what is as plausible as another counts less if it
    opens inside, and then with the mark that stands last.
    """
    count = len(marks)
    parts = np.empty(count + 1, dtype=np.int64)
    openers = np.empty(count, dtype=np.int64)
    behind = ZERO
    for i in range(count):
        parts[i] = _codeness(text, classes, behind, marks[i], _HASH_CODE)
        openers[i] = _OPENS if _opens(text, classes, marks[i]) else 0
        behind = marks[i] + TRIPLE
    parts[count] = _codeness(text, classes, behind, len(text), _HASH_CODE)
    best, start = _plausibility(text, marks, parts, openers, _NO_MARK), 0
    last = np.int64(text[marks[count - 1]])
    for inside in (last, _BOTH_MARKS - last):
        first = 0
        while first < count and text[marks[first]] != inside:
            first += 1
        if first < count:
            score = _plausibility(text, marks, parts, openers, inside)
            if score > best:
                best, start = score, marks[first] + TRIPLE
    return start


@part
def _plausibility(
    text: NDArray[np.uint32],
    marks: NDArray[np.int64],
    parts: NDArray[np.int64],
    openers: NDArray[np.int64],
    inside: np.int64,
) -> int:
    """How well a reading of a text's triple quotes fits, if the text starts inside a string of the mark `inside`."""
    score: int = 0
    for i in range(len(marks)):
        score += -parts[i] if inside else parts[i]
        mark = np.int64(text[marks[i]])
        if not inside:
            inside = mark
            score += openers[i]
        elif inside == mark:
            inside = _NO_MARK
    behind = parts[len(marks)]
    score += -behind if inside else behind
    return score


@part
def _opens(text: NDArray[np.uint32], classes: NDArray[np.uint8], start: int) -> bool:
    """Whether a triple quote stands where only a string or docstring begins: behind a colon, a bracket, a sign."""
    at, lowest = start - 1, max(0, start - _INDENT_LIMIT)
    while at >= lowest and (classes[text[at]] & PREFIX or _is_blank(text[at])):
        at -= 1
    return at >= lowest and is_one_of(text[at], _OPENING)


@part
def _is_blank(character: int) -> bool:
    return character in (SPACEBAR, TAB, NEWLINE, RETURN, BACKSLASH)


@part
def _codeness(text: NDArray[np.uint32], classes: NDArray[np.uint8], begin: int, end: int, syntax: int) -> int:
    """How much text[begin:end] looks like code rather than prose, its comments left out.

    Brackets, signs, dots inside names and colons at a line's end, less three for each run of three words.
    """
    found, marked, told, at = 0, begin, begin, begin
    while at < end:
        flags = classes[text[at]]
        if flags & WORD:
            stop = word_end(text, classes, at, end)
            behind = _prose_end(text, classes, at, end) if at >= told else at
            if behind > at:
                found -= _PROSE
                told = behind
            # A letter that stands between two dots belongs to the first.
            if stop + 1 < end and stop > marked and text[stop] == DOT and classes[text[stop + 1]] & WORD:
                found += 1
                marked = stop + 2
            at = stop
        elif _is_comment(text, at, end, syntax):
            at = line_end(text, at, end)
        else:
            found += flags & BRACKET > 0 or (text[at] == COLON and _ends_line(text, at + 1, end, syntax))
            at += 1
    return found


@part
def _is_comment(text: NDArray[np.uint32], at: int, end: int, syntax: int) -> bool:
    if syntax == HASH_CODE:
        return bool(text[at] == HASH)
    return bool(text[at] == SLASH and at + 1 < end and text[at + 1] == SLASH)


@part
def _ends_line(text: NDArray[np.uint32], at: int, end: int, syntax: int) -> bool:
    return bool(at >= end or text[at] == NEWLINE or _is_comment(text, at, end, syntax))


@part
def _prose_end(text: NDArray[np.uint32], classes: NDArray[np.uint8], at: int, end: int) -> int:
    """Behind the three words with single blanks between them at text[at]; `at` if there are none.

    There are none either if an opening bracket or an equal sign stands behind them.
    """
    stop = at
    for word in range(_PROSE):
        if word > 0:
            if stop >= end or text[stop] != SPACEBAR:
                return at
            stop += 1
        start = stop
        while stop < min(end, start + _LONGEST) and _is_letter(classes[text[stop]], text[stop]):
            stop += 1
        if stop - start < _SHORTEST or (text[start] == _I and _is_import(text, classes, start, end)):
            return at
    behind = stop
    while behind < end and text[behind] == SPACEBAR:
        behind += 1
    return at if behind < end and is_one_of(text[behind], _CALLS) else stop


@part
def _is_letter(flags: int, character: int) -> bool:
    return flags & (WORD | DIGIT) == WORD and character != _UNDERSCORE


@part
def _is_import(text: NDArray[np.uint32], classes: NDArray[np.uint8], at: int, end: int) -> bool:
    behind = at + len(_IMPORT)
    return stands_at(text, at, end, _IMPORT) and (behind >= end or not classes[text[behind]] & WORD)
