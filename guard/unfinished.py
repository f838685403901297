"""What a text that breaks off leaves open: the beginning of a literal that is too short to be told from a secret's.

Fewer than SIZE letters have no name in the index (guard.literals), so the first letters of a secret could be had by
asking for no more of them. Nor can it be told whose they are: what the caller owns and what others own begin alike. So
what could be a secret's beginning stays back from everybody, whatever is indexed: what is kept back tells nothing.
Knows no index.
"""

from __future__ import annotations

import re
from itertools import pairwise

from guard.folding import DIGITS, Folded, folded, plain
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
COMMON = 4
"""Bits of an ordinary pair of letters in a string."""
EXCESS = 4
"""Bits by which the pairs in a row of a word in a string may be rarer than that, if they are no part of a secret."""
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
_ESCAPE = re.compile(r"\\.")
# A word whose case changes behind a single letter: `wJalr`, and neither `setName` nor `HTTPError`.
_CHANGING = re.compile(r"(?<![A-Za-z])[a-z](?=[A-Z])|(?<=[a-z])[A-Z](?=[A-Z][a-z])")


def finished(before: str, text: str, *, goes_on: bool = False) -> int:
    """How many characters of `text`, which goes on behind `before` and then breaks off, end no literal in the middle.

    What stays back is, in a string that is still open, the word at its end if a secret could begin so; of several short
    strings in a row the same; and elsewhere a word that looks random and a number. Of a text that `goes_on` every open
    word stays, since what it becomes is yet to be seen.
    """
    tail = (before[-REACH:] + text)[-REACH:]
    behind = max(0, len(tail) - PIECES)
    start = min(_word(tail, goes_on=goes_on), behind + _pieces(tail[behind:], goes_on=goes_on))
    return max(0, min(len(text), len(text) - (len(tail) - start)))


def in_string(line: str) -> bool:
    """Whether a string that begins on this line is open at its end."""
    last = None
    for last in _PARTS.finditer(line):  # noqa: B007 - the last one is what is asked for
        pass
    return last is not None and last.end() == len(line) and last[1] is not None and not last[2]


def _word(tail: str, *, goes_on: bool) -> int:
    """Where the word at the end begins if it has to stay back, else the end."""
    letters = folded(tail)
    count = len(letters.letters)
    if not count or letters.ends[-1] < len(tail.rstrip("-_+/=")):
        return len(tail)
    first = count - 1
    while first > 0 and count - first < SIZE and letters.words[first - 1] == letters.words[first]:
        first -= 1
    start = int(letters.starts[first])
    if in_string(tail[tail.rfind("\n") + 1 :]):
        stays = goes_on or _may_begin_secret(letters.letters[first:].tolist(), tail[start:])
    else:
        stays = _looks_random(letters, first)
    return start if stays and count - first < SIZE else len(tail)


def _pieces(tail: str, *, goes_on: bool) -> int:
    """Where two or more short strings or numbers with nothing between begin that the text ends in, else the end.

    With SIZE letters together they have names in the index.
    """
    start = end = 0
    letters = ""
    single = True
    for piece in _PIECE.finditer(tail):
        if not _BETWEEN.issuperset(tail[end : piece.start()]) or not end:
            start, letters = piece.start(), ""
        single = piece.start() == start
        end, letters = piece.end(), letters + "".join(filter(str.isalnum, piece[2] or piece[3] or ""))
    if single or len(letters) >= SIZE or not _BETWEEN.issuperset(tail[end:]):
        return len(tail)
    if any(sign in tail[start:] for sign in "\"'`"):
        stays = goes_on or _may_begin_secret([int(letter, 36) for letter in letters], letters)
    else:
        stays = len(letters) >= SHORTEST and any(map(str.isdigit, tail[start:]))
    return start if stays else len(tail)


def _may_begin_secret(letters: list[int], written: str) -> bool:
    """Whether a secret could begin with these letters (guard.folding), written so: no ordinary word does.

    What is all hexadecimal, `be` as well, or has a digit could; so could what changes its case as no name does, and
    rare pairs of letters in a row.
    """
    if all(letter < HEXADECIMAL for letter in letters) or min(letters) < DIGITS:
        return bool(letters)
    if _CHANGING.search(_ESCAPE.sub(" ", plain(written))):
        return True
    excess = 0
    for before, letter in pairwise(letters):
        excess = max(0, excess) + int(PAIRS[before, letter]) - COMMON
        if excess >= EXCESS:
            return True
    return False


def _looks_random(letters: Folded, first: int) -> bool:
    some = letters.letters[first:].astype(int)
    digits = int((some < DIGITS).sum())
    if len(some) < SHORTEST or not digits:
        return False
    return bool((some < HEXADECIMAL).all()) or float(PAIRS[some[:-1], some[1:]].mean()) >= RARITY
