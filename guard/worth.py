"""What a query's tokens are worth while one group of documents after the other is weighed. Knows no owners.

What stands in documents that the caller may see is set aside: it tells nothing of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from guard.alignment import Chain
    from guard.rarity import Bits
    from guard.seeds import Mask

SHORT_TOKENS = 40
"""A match of fewer tokens needs SHORT_BITS more for each that is missing: short idioms are what models know least. It
is the smallest copy that is to be found."""
SHORT_BITS = 0.7


@dataclass(frozen=True, slots=True)
class Worth:
    """What each token of the query tells, and what it adds to the letter: nothing for those that are `aside`.

    All of shape (tokens,).
    """

    bits: Bits
    literal: Bits
    aside: Mask

    def telling(self, tokens: Mask) -> Mask:
        """Those of the tokens that are not set aside."""
        return tokens & ~self.aside

    def without(self, tokens: Mask) -> Worth:
        """What is left where these tokens tell nothing more."""
        return Worth(np.where(tokens, 0.0, self.bits), np.where(tokens, 0.0, self.literal), self.aside | tokens)


def told(chain: Chain, left: Worth) -> float:
    """The bits of a chain, less what a short one must have on top."""
    return chain.bits - SHORT_BITS * max(0, SHORT_TOKENS - int(left.telling(chain.covered).sum()))
