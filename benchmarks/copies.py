"""True copies among code that should be independent: a rule of its own, by which they are found and set aside.

A text is a copy if it shares a run of 40 tokens with the indexed code, letter for letter, or six lines in a row that
say something: the smallest copy that the guard must find. Layout, `#` comments, the choice of quotes and trailing
commas do not count. Knows nothing of the guard and shares no code with it.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

TOKENS = 40
LINES = 6
RULE = f"shares {TOKENS} tokens or {LINES} telling lines in a row with an indexed file, letter for letter"
_TOKEN = re.compile(r"\w+|[^\w\s]")
_LAYOUT = re.compile(r"""["']|,(?=\s*+[)\]}])""")
_COMMENT = re.compile(r"(?m)^[ \t]*+#.*+$")
_TELLING = 4
"""Letters and digits that a line must have: brackets, `else:` and the like are skipped."""
_BASE = np.uint64(0x9E3779B97F4A7C15)


class IndexedCode:
    """Every run of TOKENS tokens and of LINES lines in some texts, as 64-bit hashes."""

    def __init__(self, texts: Iterable[str]) -> None:
        runs = [hashes for text in texts for hashes in _runs(text)]
        self._runs = np.unique(np.concatenate([*runs, np.empty(0, dtype=np.uint64)]))

    def has_copy(self, text: str) -> bool:
        """Whether `text` holds one of them."""
        return any(self._knows(hashes) for hashes in _runs(text))

    def _knows(self, hashes: NDArray[np.uint64]) -> bool:
        places = np.searchsorted(self._runs, hashes)
        inside = places < len(self._runs)
        return bool((self._runs[places[inside]] == hashes[inside]).any())


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
