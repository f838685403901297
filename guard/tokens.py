"""Source text to tokens with character positions, in linear time. Knows no keys, no index and no grammar beyond lexing.

One lexer serves all languages in two syntaxes, by the mark that starts a line comment: `#` (Python, Ruby, shell ...)
and `//` (C, C++, Java, JavaScript, TypeScript, Go, Rust ...). Fragments are first-class input: text may start or end
inside a string or a comment. Layout, comments, docstrings, the choice of quotes, trailing commas and Python's grouping
parentheses leave no trace in the stream of code; what stands in comments and strings becomes a stream of its own, so
that code recited behind a comment mark or in quotes is compared as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guard.characters import NEWLINE, RETURN, classes
from guard.grouping import drop_grouping
from guard.hints import drop_hints
from guard.kernels import ZERO, kernel
from guard.lexing import scan
from guard.opening import start_of_code
from guard.page import COLUMNS, COUNTS, HIDDEN, TOKENS, Page, hide
from guard.remarks import scan_remark
from guard.stream import TokenStream
from guard.syntax import HASH_CODE, SYNTAXES, UNKNOWN_CODE, Syntax, guessed, syntax_code

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Lexed", "Syntax", "lex", "syntax_of"]


@dataclass(frozen=True, slots=True)
class Lexed:
    """A text's two streams: its code, and the words inside its comments, docstrings and longer strings."""

    syntax: Syntax
    code: TokenStream
    comments: TokenStream


def lex(text: str, language: str | None = None, *, fragment: bool = True) -> Lexed:
    """Split `text` into its streams.

    With `fragment`, the text may start inside a multi-line string or comment: the reading under which the insides of
    strings look least like code is taken, and the stream of comments is filled. Whole files are read from their start
    as they stand, and their comments are left out.
    """
    points = _code_points(text)
    code = np.empty((COLUMNS, len(points)), dtype=np.int32)
    comments = np.empty((COLUMNS, len(points) if fragment else 0), dtype=np.int32)
    syntax, tokens, words = _read(points, classes(), syntax_code(language), fragment, code, comments)
    return Lexed(SYNTAXES[syntax], TokenStream(points, *code[:, :tokens]), TokenStream(points, *comments[:, :words]))


def syntax_of(language: str | None, text: str) -> Syntax:
    """The syntax of `language` (a lower-case name such as "python", "go"), or of the text itself if it is unknown."""
    code = syntax_code(language)
    return lex(text).syntax if code == UNKNOWN_CODE else SYNTAXES[code]


def _code_points(text: str) -> NDArray[np.uint32]:
    """The text's code points, read-only, with a line feed first at every line's end."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if "\r" in text:
        points = _with_line_feeds(points)
        points.flags.writeable = False
    return points


@kernel
def _with_line_feeds(text: NDArray[np.uint32]) -> NDArray[np.uint32]:
    r"""The text with `\n\r` for `\r\n` and `\n` for a return alone, so that every place stays where it is."""
    fed = text.copy()
    for at in range(len(text)):
        if text[at] == RETURN:
            fed[at] = NEWLINE
            if at + 1 < len(text) and text[at + 1] == NEWLINE:
                fed[at + 1] = RETURN
    return fed


@kernel
def _read(
    text: NDArray[np.uint32],
    classes: NDArray[np.uint8],
    syntax: int,
    fragment: bool,  # noqa: FBT001 - kernels take no keywords
    code: NDArray[np.int32],
    comments: NDArray[np.int32],
) -> tuple[int, int, int]:
    """Fill the columns of code and comments; return the syntax and how many tokens each has."""
    if syntax == UNKNOWN_CODE:
        syntax = guessed(text, classes)
    # Nothing hidden is shorter than its mark and the line feed behind it.
    hidden = np.empty((len(text) // 2 + 2, 2), dtype=np.int64)
    page = Page(text, classes, code, hidden, np.zeros(COUNTS, dtype=np.int64))
    begin = start_of_code(text, classes, syntax) if fragment else ZERO
    if begin:
        hide(page, ZERO, begin)
    scan(page, begin, syntax)
    remarks = Page(text, classes, comments, hidden, np.zeros(COUNTS, dtype=np.int64))
    if fragment:
        for i in range(page.counts[HIDDEN]):
            scan_remark(remarks, hidden[i, 0], hidden[i, 1], syntax)
    if syntax == HASH_CODE:
        drop_hints(page)
        drop_grouping(page)
    return syntax, page.counts[TOKENS], remarks.counts[TOKENS]
