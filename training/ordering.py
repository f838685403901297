"""In which order an incremental training takes its organizations. Knows counts of tokens and n-grams, and no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.plan import Incremental

GRAM = 5
"""Tokens of a run whose repetition is looked for: less than a line of code."""


def ordered(regime: Incremental, tokens: Mapping[str, Sequence[int]]) -> tuple[str, ...]:
    """The organizations in the order in which they are trained on; `tokens` are those of each one's training files.

    Equal organizations keep the order of their names.
    """
    if isinstance(regime.order, tuple):
        return regime.order
    if regime.order == "size":
        return tuple(sorted(tokens, key=lambda name: (len(tokens[name]), name)))
    shortest = min(map(len, tokens.values()))
    return tuple(sorted(tokens, key=lambda name: (diversity(tokens[name][:shortest]), name)))


def diversity(tokens: Sequence[int]) -> float:
    """The share of runs of five tokens that are no repetition of an earlier one, 0 to 1.

    Distinct-n (Li et al. 2016, arXiv 1510.03055, section 5.2) with n = 5. It falls with length: compare texts of equal
    length only.
    """
    runs = [tuple(tokens[at : at + GRAM]) for at in range(len(tokens) - GRAM + 1)]
    return len(set(runs)) / len(runs) if runs else 0.0
