"""A stream of tokens, the form in which all code is compared. Knows no language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guard.vocabulary import IDENTIFIER, NUMBER, STRING

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IDENTIFIER", "NUMBER", "STRING", "TokenStream"]

_NEWLINE = ord("\n")


@dataclass(frozen=True, slots=True)
class TokenStream:
    """Tokens in reading order: columns of one length n over one text.

    `text`: uint32, the code points of the whole text. All others int32, shape (n,): `symbols`, the renamed tokens
    (IDENTIFIER, STRING, NUMBER or `guard.vocabulary.symbol_of` a keyword or operator); `starts` and `ends`, character
    offsets into the text; `value_starts` and `value_ends`, the part that tells tokens apart: a string without prefix
    and quotes, else the whole token.
    """

    text: NDArray[np.uint32]
    symbols: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    value_starts: NDArray[np.int32]
    value_ends: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.symbols)

    def lines(self, tokens: NDArray[np.bool_]) -> int:
        """On how many lines of the text one of `tokens` begins, a mask of shape (n,)."""
        ends = np.flatnonzero(self.text == _NEWLINE)
        return len(np.unique(np.searchsorted(ends, self.starts[tokens])))
