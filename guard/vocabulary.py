"""The symbols of renamed tokens as numbers: three classes, every keyword, every operator. Knows no text.

The numbers are part of the scheme: fingerprints and background models are made of them. A word that is added goes to
the end of its list; anything else changes every index (guard.index.LEXER rises).
"""

from __future__ import annotations

from guard.keywords import GIVEN_NAMES, HASH_KEYWORDS, SLASH_KEYWORDS

IDENTIFIER = 1
STRING = 2
NUMBER = 3
REPEATED = 3
"""A name that stood a few tokens before has this number and the distance (guard.pattern)."""
NEAR = 8
"""The greatest distance."""
_FIRST_WORD = 16
_FIRST_GIVEN = 1024
CHARACTERS = 0x10000
"""A character that is no listed operator has this number and its code point."""

OPERATORS = (
    "->", "=>", "===", "!==", "==", "!=", "<=", ">=", "&&", "||", "::", "++", "--", "**", "<<", ">>", ":=", "??", "?.",
    "...", "-=", "+=", "*=", "/=", "%=", "&=", "|=", "^=", "//",
)  # fmt: skip
"""Operators of more than one character, in the order in which they are tried."""
_WORDS = (*sorted(HASH_KEYWORDS | SLASH_KEYWORDS), *OPERATORS)
_NUMBERS = {word: number for number, word in enumerate(_WORDS, _FIRST_WORD)}
_GIVEN = {name: number for number, name in enumerate(sorted(GIVEN_NAMES), _FIRST_GIVEN)}
_TEXTS = {number: word for word, number in _NUMBERS.items()} | {IDENTIFIER: "I", STRING: "S", NUMBER: "N"}


def symbol_of(word: str) -> int:
    """The number of a keyword, an operator or a single character; raises KeyError for anything longer."""
    number = _NUMBERS.get(word)
    if number is not None:
        return number
    if len(word) != 1:
        raise KeyError(word)
    return CHARACTERS + ord(word)


def given_symbol(name: str) -> int:
    """The number of a name that languages define; raises KeyError for any other."""
    return _GIVEN[name]


def text_of(symbol: int) -> str:
    """What a symbol stands for, for people: `I`, `S` and `N` for the classes."""
    return _TEXTS[symbol] if symbol in _TEXTS else chr(symbol - CHARACTERS)
