"""The two syntaxes in which code is read, and which one a text is in. Knows nothing of tokens."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from guard.characters import DOT, HASH, NEWLINE, RETURN, SLASH, SPACEBAR, TAB, WORD
from guard.extents import word_end
from guard.kernels import part
from guard.keywords import HASH_LANGUAGES, SLASH_LANGUAGES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Syntax(StrEnum):
    """How comments and strings are written."""

    HASH = "hash"
    SLASH = "slash"


HASH_CODE, SLASH_CODE, UNKNOWN_CODE = 0, 1, 2
"""The syntaxes for kernels, and the wish to have one guessed."""
SYNTAXES = (Syntax.HASH, Syntax.SLASH)
"""The syntax of each code."""
READ = 20_000
"""Characters at a text's end from which its syntax is guessed."""

_CODES = dict.fromkeys(HASH_LANGUAGES, HASH_CODE) | dict.fromkeys(SLASH_LANGUAGES, SLASH_CODE)
_LONGEST = 8
_ASCII = 128
_BYTE = np.uint64(8)
_AT = ord("@")


def _packed(words: str) -> NDArray[np.uint64]:
    """Words of up to 8 ASCII characters as numbers."""
    return np.array(sorted(int.from_bytes(word.encode("ascii"), "big") for word in words.split()), dtype=np.uint64)


_STATEMENTS = _packed("def class elif except from import with for while if try else")
_HASH_WORDS = _packed("and or not None True False elif")
_SLASH_WORDS = _packed("func fn const let var public private static void new this")
_SELF = _packed("self")
_DIRECTIVES = _packed("include define if endif pragma")
_SLASH_DIRECTIVES = _packed("include define")
_PAIRS = np.array([[ord(character) for character in pair] for pair in ("/*", "*/", "&&", "||", "=>")], dtype=np.uint32)
_CURLY, _CLOSING, _SEMICOLON, _SQUARE = ord("{"), ord("}"), ord(";"), ord("[")


def syntax_code(language: str | None) -> int:
    """The code of the syntax of `language` (a lower-case name such as "python"); UNKNOWN_CODE if that is unknown."""
    return _CODES.get(language or "", UNKNOWN_CODE)


@part
def guessed(text: NDArray[np.uint32], classes: NDArray[np.uint8]) -> int:
    """The syntax that the end of the text has more marks of; HASH_CODE if neither."""
    begin = max(0, len(text) - READ)
    hashes, slashes = _hash_evidence(text, classes, begin), _slash_evidence(text, classes, begin)
    return HASH_CODE if hashes >= slashes else SLASH_CODE


@part
def _hash_evidence(text: NDArray[np.uint32], classes: NDArray[np.uint8], begin: int) -> int:
    """How many statements without braces, comments, decorators and words of Python stand in text[begin:]."""
    found, at, end = 0, begin, len(text)
    while at < end:
        if at == begin or text[at - 1] == NEWLINE:
            stop = _hash_line(text, classes, at)
            if stop > at:
                found += 1
                at = stop
                continue
        if not classes[text[at]] & WORD or (at > begin and classes[text[at - 1]] & WORD):
            at += 1
            continue
        stop = word_end(text, classes, at, end)
        word = _word(text, at, stop)
        found += _is_in(word, _HASH_WORDS) or (_is_in(word, _SELF) and stop < end and text[stop] == DOT)
        at = stop
    return found


@part
def _hash_line(text: NDArray[np.uint32], classes: NDArray[np.uint8], at: int) -> int:
    """Behind the sign of the hash languages with which the line at text[at] begins; `at` if there is none."""
    end, first = len(text), _indented(text, at)
    if first >= end:
        return at
    if text[first] == HASH:
        plain = _begins(text, first + 1, _DIRECTIVES) or (first + 1 < end and text[first + 1] == _SQUARE)
        return at if plain else first + 1
    if text[first] == _AT:
        return first + 2 if first + 1 < end and classes[text[first + 1]] & WORD else at
    if not _is_in(_word(text, first, word_end(text, classes, first, end)), _STATEMENTS):
        return at
    while first < end and text[first] != NEWLINE:
        if text[first] == _CURLY or text[first] == _SEMICOLON:
            return at
        first += 1
    return first


@part
def _slash_evidence(text: NDArray[np.uint32], classes: NDArray[np.uint8], begin: int) -> int:
    """How many braces and semicolons at a line's end, comments, signs and words of the slash languages there are."""
    found, at, end = 0, begin, len(text)
    while at < end:
        stop = _slash_sign(text, at, begin)
        if stop > at:
            found += 1
            at = stop
        elif classes[text[at]] & WORD and (at == begin or not classes[text[at - 1]] & WORD):
            stop = word_end(text, classes, at, end)
            found += _is_in(_word(text, at, stop), _SLASH_WORDS)
            at = stop
        else:
            at += 1
    return found


@part
def _slash_sign(text: NDArray[np.uint32], at: int, begin: int) -> int:
    """Behind the sign of the slash languages at text[at]; `at` if there is none."""
    end, character = len(text), text[at]
    if character in (_SEMICOLON, _CURLY, _CLOSING):
        stop = at + 1
        while stop < end and (text[stop] == SPACEBAR or text[stop] == TAB):
            stop += 1
        if stop >= end or text[stop] == NEWLINE:
            return stop
    if at == begin or text[at - 1] == NEWLINE:
        first = _indented(text, at)
        if first + 1 < end and text[first] == SLASH and text[first + 1] == SLASH:
            return first + 2
        if first < end and text[first] == HASH and _begins(text, first + 1, _SLASH_DIRECTIVES):
            return first + 1
    for i in range(len(_PAIRS)):
        if character == _PAIRS[i, 0] and at + 1 < end and text[at + 1] == _PAIRS[i, 1]:
            return at + 2
    return at


@part
def _indented(text: NDArray[np.uint32], at: int) -> int:
    """Behind the blanks at text[at]; a carriage return stands behind its line feed here."""
    while at < len(text) and (text[at] == SPACEBAR or text[at] == TAB or text[at] == RETURN):
        at += 1
    return at


@part
def _word(text: NDArray[np.uint32], start: int, end: int) -> np.uint64:
    """text[start:end] as a number, if it has up to 8 characters and all are ASCII; else 0."""
    number = np.uint64(0)
    if end - start > _LONGEST:
        return number
    for at in range(start, end):
        if text[at] >= _ASCII:
            return np.uint64(0)
        number = (number << _BYTE) | np.uint64(text[at])
    return number


@part
def _begins(text: NDArray[np.uint32], at: int, words: NDArray[np.uint64]) -> bool:
    """Whether one of `words` stands at text[at], whatever follows it."""
    for end in range(at + 1, min(at + _LONGEST, len(text)) + 1):  # noqa: SIM110 - kernels have no generators
        if _is_in(_word(text, at, end), words):
            return True
    return False


@part
def _is_in(word: np.uint64, words: NDArray[np.uint64]) -> bool:
    for one in words:  # noqa: SIM110 - kernels have no generators
        if word == one:
            return True
    return False
