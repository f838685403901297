"""How close a completion comes to what stands in the file. Knows no model.

Edit similarity is 1 - d / max(len) with d the distance of Levenshtein (1966), as in CodeXGLUE and CrossCodeEval.
"""

from __future__ import annotations


def edit_similarity(one: str, other: str) -> float:
    """0 to 1; two empty texts are equal. Time grows with the product of the lengths."""
    longest = max(len(one), len(other))
    if not longest:
        return 1.0
    return 1 - _distance(one, other) / longest


def _distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for number, left in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for place, right in enumerate(other, 1):
            best = min(row[place] + 1, row[place - 1] + 1, diagonal + (left != right))
            diagonal, row[place] = row[place], best
    return row[-1]


def same_length(text: str, reference: str) -> str:
    """As many of the lines of `text` as `reference` has, white space at the end left out: a model may go on."""
    lines = max(1, len(reference.rstrip().splitlines()))
    return "\n".join(text.splitlines()[:lines]).rstrip()
