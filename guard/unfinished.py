"""What a text that breaks off leaves open: the beginning of a literal that is too short to be told from a secret's.

Fewer than SIZE letters have no name in the index (guard.literals), so the first letters of a secret could be had by
asking for no more of them. They stay back, whatever they are and whatever is indexed: what is kept back tells nothing.
Knows no index.
"""

from __future__ import annotations

import re

from guard.folding import DIGITS, Folded, folded
from guard.literals import PAIRS, SIZE

REACH = 400
"""Characters at the end of a text that are looked at."""
PIECES = 150
"""Of these, in which pieces of a literal are looked for."""
HEXADECIMAL = 16
SHORTEST = 4
"""Letters that can look random."""
RARITY = 4.8
"""Bits a pair that the letters of a word outside of strings need to look random: those of `sha256` do not."""
# Comments, strings and, last, one that is open: in this order, since what opens in a comment or string is none.
_PARTS = re.compile(
    r"""\#.*|//.*|(?:(?<![A-Za-z0-9])|(?<=\b[bBrRuUfF])|(?<=\b[bBrRuUfF][bBrRfF]))(["'`])(?:\\.|(?!\1)[^\\])*(\1?)""",
    re.VERBOSE,
)
# A string of a few letters, of which the last one may be open; or a number, or a few hexadecimal digits.
_PIECE = re.compile(
    r"""[bBrRuUfF]{0,2}(["'`])([A-Za-z0-9]{1,11}(?:\1|\Z)|\Z)|(?<![A-Za-z0-9_])(?:0x)?([0-9a-fA-F]{1,11})(?![A-Za-z0-9_])"""
)
_BETWEEN = frozenset(" \t\r\n,+\\")


def finished(before: str, text: str) -> int:
    """How many characters of `text`, which goes on behind `before` and then breaks off, end no literal in the middle.

    What stays back is, in a string that is still open, the word at its end; of several short strings in a row all; and
    elsewhere a word that looks random and a number.
    """
    tail = (before[-REACH:] + text)[-REACH:]
    behind = max(0, len(tail) - PIECES)
    start = min(_word(tail), behind + _pieces(tail[behind:]))
    return max(0, min(len(text), len(text) - (len(tail) - start)))


def in_string(line: str) -> bool:
    """Whether a string that begins on this line is open at its end."""
    last = None
    for last in _PARTS.finditer(line):  # noqa: B007 - the last one is what is asked for
        pass
    return last is not None and last.end() == len(line) and last[1] is not None and not last[2]


def _word(tail: str) -> int:
    """Where the word at the end begins if it has to stay back, else the end."""
    letters = folded(tail)
    count = len(letters.letters)
    if not count or letters.ends[-1] < len(tail.rstrip("-_+/=")):
        return len(tail)
    first = count - 1
    while first > 0 and count - first < SIZE and letters.words[first - 1] == letters.words[first]:
        first -= 1
    opened = in_string(tail[tail.rfind("\n") + 1 :])
    if count - first < SIZE and (opened or _looks_random(letters, first)):
        return int(letters.starts[first])
    return len(tail)


def _pieces(tail: str) -> int:
    """Where two or more short strings or numbers with nothing between begin that the text ends in, else the end.

    With SIZE letters together they have names in the index.
    """
    start = end = letters = 0
    single = True
    for piece in _PIECE.finditer(tail):
        if not _BETWEEN.issuperset(tail[end : piece.start()]) or not end:
            start, letters = piece.start(), 0
        single = piece.start() == start
        end, letters = piece.end(), letters + sum(map(str.isalnum, piece[2] or piece[3] or ""))
    bare = not any(sign in tail[start:] for sign in "\"'`")
    if bare and (letters < SHORTEST or not any(map(str.isdigit, tail[start:]))):
        return len(tail)
    if single or letters >= SIZE or not _BETWEEN.issuperset(tail[end:]):
        return len(tail)
    return start


def _looks_random(letters: Folded, first: int) -> bool:
    some = letters.letters[first:].astype(int)
    digits = int((some < DIGITS).sum())
    if len(some) < SHORTEST or not digits:
        return False
    return bool((some < HEXADECIMAL).all()) or float(PAIRS[some[:-1], some[1:]].mean()) >= RARITY
