"""Token streams made by hand for tests, and read back as words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from guard.stream import IDENTIFIER, NUMBER, STRING, TokenStream
from guard.tokens import lex
from guard.vocabulary import symbol_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def text_in(stream: TokenStream) -> str:
    """The text that a stream was read from."""
    return stream.text.tobytes().decode("utf-32-le", "surrogatepass")


def exact(stream: TokenStream) -> list[str]:
    """Each token as it stands in the text; a string without prefix and quotes, behind one quote."""
    text = text_in(stream)
    words = []
    columns = zip(stream.symbols.tolist(), stream.value_starts.tolist(), stream.value_ends.tolist(), strict=True)
    for symbol, start, end in columns:
        value = text[start:end]
        if symbol == STRING:
            value = '"' + value.replace("\r", "")
        words.append(value if symbol in (IDENTIFIER, STRING, NUMBER) else text_of(symbol))
    return words


def renamed(stream: TokenStream) -> list[str]:
    """Each token with `I`, `S` and `N` for names, strings and numbers."""
    return [text_of(symbol) for symbol in stream.symbols.tolist()]


def spans(stream: TokenStream) -> list[tuple[int, int]]:
    """Where each token begins and ends."""
    return [*zip(stream.starts.tolist(), stream.ends.tolist(), strict=True)]


def stream_of(words: Sequence[str]) -> TokenStream:
    """The stream of `words`: names, numbers, keywords, operators, and strings behind one quote, as `exact` gives it."""
    ends = np.cumsum([0, *(len(word) for word in words)]).astype(np.int32)
    points = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    symbols = np.array([_symbol(word) for word in words], dtype=np.int32)
    values = ends[:-1] + (symbols == STRING).astype(np.int32)
    return TokenStream(points, symbols, ends[:-1], ends[1:], values, ends[1:])


def stream_with(symbols: Sequence[int]) -> TokenStream:
    """A stream of the given symbols, none of which is a name, string or number."""
    places = np.arange(len(symbols), dtype=np.int32)
    points = np.zeros(len(symbols), dtype=np.uint32)
    return TokenStream(points, np.array(symbols, dtype=np.int32), places, places + 1, places, places + 1)


def _symbol(word: str) -> int:
    if word.startswith('"') and len(word) > 1:
        return STRING
    if re.match(r"\d", word):
        return NUMBER
    try:
        return IDENTIFIER if re.fullmatch(r"\w", word) else symbol_of(word)
    except KeyError:
        return IDENTIFIER


def code(text: str, language: str | None = "python", *, fragment: bool = True) -> TokenStream:
    return lex(text, language, fragment=fragment).code


def columns(stream: TokenStream) -> set[int]:
    columns = (stream.symbols, stream.starts, stream.ends, stream.value_starts, stream.value_ends)
    assert {column.dtype.str for column in columns} == {"<i4"}
    return {len(stream), *(len(column) for column in columns)}


def share(found: list[str], wanted: list[str]) -> float:
    """The share of the runs of five tokens of `wanted` that stand in `found`."""
    runs = {tuple(found[i : i + 5]) for i in range(len(found) - 4)}
    asked = [tuple(wanted[i : i + 5]) for i in range(len(wanted) - 4)]
    return sum(run in runs for run in asked) / len(asked)
