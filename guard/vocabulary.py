"""The symbols of renamed tokens as numbers: three classes, every keyword, every operator. Knows no text.

The numbers are part of the scheme: fingerprints and background models are made of them. A word that is added goes to
the end of its list; anything else changes every index (guard.index.LEXER rises).
"""

from __future__ import annotations

from guard.keywords import HASH_KEYWORDS, SLASH_KEYWORDS

IDENTIFIER = 1
STRING = 2
NUMBER = 3
_FIRST_WORD = 16
CHARACTERS = 0x10000
"""A character that is no listed operator has this number and its code point."""

OPERATORS = (
    "->", "=>", "===", "!==", "==", "!=", "<=", ">=", "&&", "||", "::", "++", "--", "**", "<<", ">>", ":=", "??", "?.",
    "...", "-=", "+=", "*=", "/=", "%=", "&=", "|=", "^=", "//",
)  # fmt: skip
"""Operators of more than one character, in the order in which they are tried."""
_WORDS = (*sorted(HASH_KEYWORDS | SLASH_KEYWORDS), *OPERATORS)
_NUMBERS = {word: number for number, word in enumerate(_WORDS, _FIRST_WORD)}
_TEXTS = {number: word for word, number in _NUMBERS.items()} | {IDENTIFIER: "I", STRING: "S", NUMBER: "N"}


def symbol_of(word: str) -> int:
    """The number of a keyword, an operator or a single character; raises KeyError for anything longer."""
    number = _NUMBERS.get(word)
    if number is not None:
        return number
    if len(word) != 1:
        raise KeyError(word)
    return CHARACTERS + ord(word)


def text_of(symbol: int) -> str:
    """What a symbol stands for, for people: `I`, `S` and `N` for the classes."""
    return _TEXTS[symbol] if symbol in _TEXTS else chr(symbol - CHARACTERS)
