"""True copies among code that should be independent: a rule of its own, by which they are found and set aside.

A text is a copy if, letter for letter, it shares with one indexed file a run of 40 tokens, or six lines in a row that
say something, or 40 tokens in the same order within a stretch of which they are three quarters: the smallest copies
that the guard must find, whole and edited. Layout, `#` comments, the choice of quotes and trailing commas do not count.
Knows nothing of the guard and shares no code with it.
"""

from __future__ import annotations

import difflib
import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

TOKENS = 40
LINES = 6
SHARE = 0.75
"""Share of an edited copy's tokens, from its first to its last, that stand in the file."""
RULE = (
    f"shares {TOKENS} tokens or {LINES} telling lines in a row with an indexed file, letter for letter, or {TOKENS} "
    f"tokens in order within a stretch of which they are {SHARE:.0%}"
)
_TOKEN = re.compile(r"\w+|[^\w\s]")
_LAYOUT = re.compile(r"""["']|,(?=\s*+[)\]}])""")
_COMMENT = re.compile(r"(?m)^[ \t]*+#.*+$")
_TELLING = 4
"""Letters and digits that a line must have: brackets, `else:` and the like are skipped."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SEED = 7
"""Tokens of the runs by which files are found that may hold an edited copy."""
_SEEDS = 12
"""Such runs that text and file must share: two unbroken halves of the smallest edited copy have more."""
_RARE = 20
"""Files that may hold a run before it counts as an idiom, by which nothing is looked for."""
_CONTEXT = 150
"""Tokens around the shared runs that are compared."""
_BLOCK = 3
"""Tokens that must stand together to count as shared."""


class IndexedCode:
    """Every run of TOKENS tokens and of LINES lines in some texts, as 64-bit hashes, and the texts' tokens."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._files: list[list[str]] = []
        runs = []
        for text in texts:
            self._files.append(_tokens(text))
            runs += _runs(text)
        self._runs = np.unique(np.concatenate([*runs, np.empty(0, dtype=np.uint64)]))
        seeds = [_hashes(tokens, _SEED) for tokens in self._files]
        where = np.repeat(np.arange(len(seeds)), [len(some) for some in seeds])
        places = np.concatenate([*(np.arange(len(some)) for some in seeds), np.empty(0, dtype=np.int64)])
        names = np.concatenate([*seeds, np.empty(0, dtype=np.uint64)])
        order = np.argsort(names, kind="stable")
        self._seeds, self._where, self._places = names[order], where[order], places[order]

    def has_copy(self, text: str) -> bool:
        """Whether `text` holds a copy of something in one of them."""
        return any(self._knows(hashes) for hashes in _runs(text)) or self._has_edited_copy(_tokens(text))

    def _knows(self, hashes: NDArray[np.uint64]) -> bool:
        places = np.searchsorted(self._runs, hashes)
        inside = places < len(self._runs)
        return bool((self._runs[places[inside]] == hashes[inside]).any())

    def _has_edited_copy(self, tokens: list[str]) -> bool:
        seeds = _hashes(tokens, _SEED)
        lows, highs = (np.searchsorted(self._seeds, seeds, side) for side in ("left", "right"))
        rare = np.flatnonzero((highs > lows) & (highs - lows <= _RARE))
        found = [(int(self._where[at]), int(self._places[at])) for i in rare for at in range(lows[i], highs[i])]
        for file, count in Counter(file for file, _ in found).items():
            if count >= _SEEDS:
                places = [place for other, place in found if other == file]
                indexed = self._files[file][max(0, min(places) - _CONTEXT) : max(places) + _CONTEXT]
                if _is_edited(tokens, indexed):
                    return True
        return False


def _is_edited(tokens: list[str], indexed: list[str]) -> bool:
    """Whether some stretch of `tokens` has TOKENS of them in the order of `indexed`, SHARE of the stretch or more."""
    matcher = difflib.SequenceMatcher(None, tokens, indexed, autojunk=False)
    blocks = [(block.a, block.a + block.size) for block in matcher.get_matching_blocks() if block.size >= _BLOCK]
    for first in range(len(blocks)):
        shared = 0
        for start, end in blocks[first:]:
            shared += end - start
            if shared >= TOKENS and shared >= SHARE * (end - blocks[first][0]):
                return True
    return False


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(_LAYOUT.sub("", _COMMENT.sub("", text)))


def _runs(text: str) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    code = _LAYOUT.sub("", _COMMENT.sub("", text))
    lines = ["".join(line.split()) for line in code.splitlines()]
    telling = [line for line in lines if sum(map(str.isalnum, line)) >= _TELLING]
    return _hashes(_TOKEN.findall(code), TOKENS), _hashes(telling, LINES)


def _hashes(words: list[str], length: int) -> NDArray[np.uint64]:
    """Polynomial hashes of all runs of `length` words."""
    numbers = np.array([zlib.crc32(word.encode()) for word in words], dtype=np.uint64)
    count = max(0, len(words) - length + 1)
    runs = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        runs = runs * _BASE + numbers[offset : offset + count]
    return runs
