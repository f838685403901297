"""Winnowing: which of many values are kept (Schleimer, Wilkerson, Aiken: Winnowing, SIGMOD 2003, section 3).

Of every W values in a row the smallest is kept, so that two rows that share W values in a row keep a common one. Knows
not what the values stand for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.kernels import kernel, part

if TYPE_CHECKING:
    from numpy.typing import NDArray

W = 6
"""Values of which one is kept."""


def winnow(order: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Positions kept: the rightmost minimum of every window of W values, or of all values if they are fewer."""
    positions = np.empty(len(order), dtype=np.int32)
    return positions[: _winnow(order, positions)]


@kernel
def _winnow(order: NDArray[np.uint64], positions: NDArray[np.int32]) -> int:
    return winnow_into(order, positions)


@part
def winnow_into(order: NDArray[np.uint64], positions: NDArray[np.int32]) -> int:
    """Write the positions kept, in order; return how many they are."""
    count, found, lowest = len(order), 0, -1
    for at in range(count):
        if lowest >= 0 and at - lowest < W:
            if order[at] <= order[lowest]:
                lowest = at
        else:
            lowest = max(0, at - W + 1)
            for other in range(lowest + 1, at + 1):
                if order[other] <= order[lowest]:
                    lowest = other
        if (at >= W - 1 or at == count - 1) and (found == 0 or positions[found - 1] != lowest):
            positions[found] = lowest
            found += 1
    return found
