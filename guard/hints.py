"""Python's type hints taken out of a stream, since a translation adds or drops them freely. Knows no other language.

A hint is what stands between `:` and `,`, `=` or `)` in the parameters of a `def`, between `->` and `:` behind them,
and between `:` and `=` or the line's end behind a name (`x`, `self.x`) that begins a statement. What is too long for
one, has a statement in it or does not end is none: code that nobody compares must not hide behind a colon.
"""

from __future__ import annotations

from guard.keywords import HASH_KEYWORDS
from guard.stream import IDENTIFIER, TokenStream

HINT_LIMIT = 32
"""Tokens of the longest hint."""
_STATEMENT_WORDS = HASH_KEYWORDS - {"None", "True", "False"}
_INDENT_LIMIT = 200
_OPENERS = frozenset("([{")
_CLOSERS = frozenset(")]}")


def without_type_hints(stream: TokenStream, text: str) -> TokenStream:
    """The stream of `text` without its hints. Linear; a `def` that never closes is read to the end of the text."""
    kept = _kept(stream, text)
    if len(kept) == len(stream):
        return stream
    return TokenStream(
        [stream.exact[i] for i in kept],
        [stream.renamed[i] for i in kept],
        [stream.starts[i] for i in kept],
        [stream.ends[i] for i in kept],
    )


def _kept(stream: TokenStream, text: str) -> list[int]:
    symbols, count = stream.renamed, len(stream)
    kept: list[int] = []
    depth, i = 0, 0
    while i < count:
        symbol = symbols[i]
        kept.append(i)
        i += 1
        if symbol == "def" and i + 1 < count and symbols[i] == IDENTIFIER and symbols[i + 1] == "(":
            kept += (i, i + 1)
            i = _signature(symbols, i + 2, kept)
        elif symbol in _OPENERS:
            depth += 1
        elif symbol in _CLOSERS:
            depth = max(0, depth - 1)
        elif symbol == IDENTIFIER and depth == 0 and _begins_line(text, stream, i - 1):
            while i + 1 < count and symbols[i] == "." and symbols[i + 1] == IDENTIFIER:
                kept += (i, i + 1)
                i += 2
            if i < count and symbols[i] == ":":
                end = _hint_end(symbols, i + 1, _line_end(text, stream, i), frozenset("="))
                i = i if end is None else end
    return kept


def _signature(symbols: list[str], i: int, kept: list[int]) -> int:
    """Keep a signature's tokens but its hints, from behind its `(` to its `:`; return the place of that."""
    count, depth = len(symbols), 1
    while i < count and depth:
        symbol = symbols[i]
        if symbol == ":" and depth == 1 and symbols[i - 1] == IDENTIFIER:
            end = _hint_end(symbols, i + 1, count, frozenset(",=)"))
            if end is not None:
                i = end
                continue
        depth += (symbol in _OPENERS) - (symbol in _CLOSERS)
        kept.append(i)
        i += 1
    if i < count and symbols[i] == "->":
        end = _hint_end(symbols, i + 1, count, frozenset(":"))
        i = i if end is None else end
    return i


def _hint_end(symbols: list[str], i: int, limit: int, ends: frozenset[str]) -> int | None:
    """Where the hint that begins at `i` ends: at the first of `ends` outside brackets, or at `limit`; None if none."""
    depth = 0
    for at in range(i, min(limit, i + HINT_LIMIT + 1)):
        symbol = symbols[at]
        if depth == 0 and symbol in ends:
            return at
        if symbol in _STATEMENT_WORDS or (depth == 0 and symbol == ","):
            return None  # a fragment of a dictionary has commas where a statement has none
        depth += (symbol in _OPENERS) - (symbol in _CLOSERS)
    return limit if depth == 0 and limit - i <= HINT_LIMIT else None


def _begins_line(text: str, stream: TokenStream, i: int) -> bool:
    before = text[max(0, stream.starts[i] - _INDENT_LIMIT) : stream.starts[i]]
    return not before[before.rfind("\n") + 1 :].strip()


def _line_end(text: str, stream: TokenStream, i: int) -> int:
    """The first token behind `i` outside brackets on another line, looked for no further than a hint may reach."""
    depth, last = 0, min(len(stream), i + HINT_LIMIT + 2)
    while i < last:
        depth += (stream.renamed[i] in _OPENERS) - (stream.renamed[i] in _CLOSERS)
        i += 1
        if depth <= 0 and i < last and "\n" in text[stream.ends[i - 1] : stream.starts[i]]:
            return i
    return last
