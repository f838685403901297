r"""Text to the bare letters and digits of it, by which literals are compared. Knows no keys and no syntax.

What changes when a literal is written down in another way leaves no trace: case, separators, quotes and plus signs
between its pieces, escapes (`\x41`, `\u0041`), the `0x` before numbers, the `b` or `r` before a quote, and characters
that look like letters and digits or cannot be seen at all.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from guard.kernels import kernel, part

if TYPE_CHECKING:
    from numpy.typing import NDArray

LETTERS = 36
"""Digits 0 to 9, then a to z."""
DIGITS = 10
_OTHER, _WITHIN, _QUOTE = 64, 65, 66
"""Breaks a word; stands within one; opens or closes a string."""
_UNSEEN = 67
_BACKSLASH = 68
_POINT = 69
_UNSEEN_CHARACTER = "\x7f"
_UNSEEN_CATEGORIES = frozenset({"Cf", "Mn", "Me"})
# What NFKD leaves as it is though it looks like a letter or digit of ASCII; Cyrillic and Greek, in pairs.
_ALIKE = dict(zip("авсеԁнікӏмоԛрѕтԝхуցјαβεηικνορτυχϲͱһзб", "abcedhiklmoqpstwxygjabenikvoptuxchh36", strict=True))
_CLASSES = np.full(256, _OTHER, dtype=np.uint8)
for _place, _letter in enumerate("0123456789abcdefghijklmnopqrstuvwxyz"):
    _CLASSES[[ord(_letter), ord(_letter.upper())]] = _place
_CLASSES[[ord(_sign) for _sign in "-_+/"]] = _WITHIN
_CLASSES[[ord(_sign) for _sign in "\"'`"]] = _QUOTE
_CLASSES[ord(_UNSEEN_CHARACTER)] = _UNSEEN
_CLASSES[ord("\\")] = _BACKSLASH
_CLASSES[ord(".")] = _POINT
_ZERO, _X, _U = 0, 33, 30
_HEX = 16
_HEX_DIGITS, _UNICODE_DIGITS = 2, 4
_PREFIX_LETTERS = 2


class Folded(NamedTuple):
    """The letters and digits of a text, columns of one length n.

    `letters`: uint8, 0 to 35. `starts`, `ends`: int32, the characters of the text that each stands for. `words`: int32,
    which unbroken word it belongs to (of letters, digits and any of `-_+/`), below 0 for the digits behind a point.
    """

    letters: NDArray[np.uint8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    words: NDArray[np.int32]


def folded(text: str) -> Folded:
    """The letters and digits of `text`."""
    return Folded(*_fold(_CLASSES[np.frombuffer(plain(text).encode(), dtype=np.uint8)]))


def plain(text: str) -> str:
    """`text` with a character of ASCII for each of its characters: what it looks like, else a blank."""
    if text.isascii():
        return text
    return "".join(character if character.isascii() else _looks_like(character) for character in text)


@cache
def _looks_like(character: str) -> str:
    if unicodedata.category(character) in _UNSEEN_CATEGORIES:
        return _UNSEEN_CHARACTER
    for form in (_ALIKE.get(character.casefold(), ""), unicodedata.normalize("NFKD", character)[:1]):
        if form.isascii() and form.isalnum():
            return form
    digit = unicodedata.digit(character, None)
    return " " if digit is None else str(digit)


@kernel
def _fold(
    classes: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    end = len(classes)
    letters = np.empty(end, dtype=np.uint8)
    starts, ends, words = np.empty(end, dtype=np.int32), np.empty(end, dtype=np.int32), np.empty(end, dtype=np.int32)
    at, count, word, sign = 0, 0, 1, 1
    opens = True  # a word begins here, if there is one
    while at < end:
        found = classes[at]
        if opens and found < LETTERS:
            # Behind a quote, the `b` of `'b'` is what is quoted.
            skipped = 0 if found > 0 and at > 0 and classes[at - 1] == _QUOTE else _prefix(classes, at)
            if skipped > 0:
                at += skipped
                continue
        stop, letter = at + 1, np.uint8(_OTHER)
        if found < LETTERS:
            letter = found
        elif found == _BACKSLASH:
            stop, letter = _escaped(classes, at)
        if letter < LETTERS:
            letters[count], starts[count], ends[count], words[count] = letter, at, stop, sign * word
            count += 1
        opens = found >= LETTERS and found not in (_WITHIN, _UNSEEN, _BACKSLASH)
        if opens:
            word += 1
            sign = -1 if found == _POINT and at > 0 and classes[at - 1] < DIGITS else 1
        at = stop
    return letters[:count], starts[:count], ends[:count], words[:count]


@part
def _prefix(classes: NDArray[np.uint8], at: int) -> int:
    """How many characters at the beginning of a word do not count: `0x` of a number, `b` or `r` of a string."""
    end = len(classes)
    if classes[at] == _ZERO and at + 2 < end and classes[at + 1] == _X and classes[at + 2] < _HEX:
        return 2
    for size in range(1, _PREFIX_LETTERS + 1):
        letter = classes[at + size - 1]
        # b, f, r or u
        if letter not in (11, 15, 27, 30):
            return 0
        if at + size < end and classes[at + size] == _QUOTE:
            return size
        if at + size >= end:
            return 0
    return 0


@part
def _escaped(classes: NDArray[np.uint8], at: int) -> tuple[int, np.uint8]:
    r"""The place behind the escape at `at`, and the letter that it stands for.

    Where `\x3c` stands for no letter its digits count, so that keys given as bytes are compared as well.
    """
    end = len(classes)
    if at + 1 >= end:
        return at + 1, np.uint8(_OTHER)
    kind = classes[at + 1]
    size = _HEX_DIGITS if kind == _X else _UNICODE_DIGITS
    if kind not in (_X, _U) or at + 1 + size >= end:
        return at + 2, np.uint8(_OTHER)
    point = 0
    for place in range(at + 2, at + 2 + size):
        if classes[place] >= _HEX:
            return at + 2, np.uint8(_OTHER)
        point = point * _HEX + classes[place]
    if point < len(_CLASSES) and _CLASSES[point] < LETTERS:
        return at + 2 + size, _CLASSES[point]
    return at + 2 if kind == _X else at + 2 + size, np.uint8(_OTHER)
