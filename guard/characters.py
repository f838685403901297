"""What each character is to the lexer: Unicode's classes as Python's regular expressions have them. Knows no tokens."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORD = 1
"""Of names and numbers: `\\w`."""
DIGIT = 2
"""Begins a number: `\\d`."""
SPACE = 4
PREFIX = 8
"""May stand before the quotes of any string: `r`, `b`, `f`, `u`, `t`."""
WIDE = 16
"""May stand before the quotes of a string on one line: `L`."""
QUOTE = 32
UNSEEN = 64
"""Of no meaning where it stands alone: control characters and what is invisible."""

BRACKET = 128
"""Of code rather than prose: brackets, the equal sign, the semicolon."""

NEWLINE = ord("\n")
RETURN = ord("\r")
BACKSLASH = ord("\\")
DOUBLE = ord('"')
SINGLE = ord("'")
TICK = ord("`")
HASH = ord("#")
SLASH = ord("/")
STAR = ord("*")
SPACEBAR = ord(" ")
TAB = ord("\t")
DOT = ord(".")
COLON = ord(":")
COMMA = ord(",")

_CODE_POINTS = 0x110000
# Unicode has neither letters, digits nor white space behind the third supplementary plane.
_WITH_CLASSES = 0x40000
_UNSEEN = (
    *((code, code) for code in (0xAD, 0x61C, 0xFEFF)),
    (0, 0x1F),
    (0x7F, 0x7F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2069),
)


def points_of(characters: str) -> NDArray[np.uint32]:
    """The code points of a constant, shape (n,)."""
    return np.array([ord(character) for character in characters], dtype=np.uint32)


@cache
def classes() -> NDArray[np.uint8]:
    """The classes of every code point, shape (0x110000,), as a sum of the bits above. Made once, when first asked."""
    points = np.arange(_WITH_CLASSES, dtype="<u4").view("<U1")
    table = np.zeros(_CODE_POINTS, dtype=np.uint8)
    some = table[:_WITH_CLASSES]
    some += np.strings.isalnum(points) * np.uint8(WORD)
    some += np.strings.isdecimal(points) * np.uint8(DIGIT)
    some += np.strings.isspace(points) * np.uint8(SPACE)
    some[ord("_")] |= WORD
    for first, last in _UNSEEN:
        some[first : last + 1] |= UNSEEN
    for characters, bit in (("rRbBfFuUtT", PREFIX), ("L", WIDE), ("\"'`", QUOTE), ("(){}[]=;", BRACKET)):
        some[[ord(character) for character in characters]] |= bit
    return table
