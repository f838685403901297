"""Which files other organizations hold as well, told by their sketches alone: so that one of them trains on each.

In a federation nobody sees two organizations' code, and what several hold is memorized most. The members agree on an
order; each leaves out what those before it hold. Knows keyed hashes and signatures of theirs, and no code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.errors import PlanError
from training.sketches import (
    KEPT,
    any_alike,
    bands,
    functions_of,
    hash_secret,
    key_name,
    run_hashes,
    signatures_of,
    word_count,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.secret import IndexKey
    from training.sketches import Sketch

SHARE = 0.8
"""Share of a file, by the words of its functions or by its runs of six lines, that one other must hold."""
MOSTLY = 0.5
"""Share of a file's words that must stand in functions, for these to tell of it."""
FEWEST = 8
"""Runs of a file that must be known to be held or not: of a large corpus a sketch keeps the smallest hashes alone."""


class HeldElsewhere:
    """Says of a text whether one of the organizations that gave a sketch holds it."""

    def __init__(self, sketches: Sequence[Sketch], key: IndexKey) -> None:
        """Raises PlanError for a sketch under another key."""
        for number, sketch in enumerate(sketches, 1):
            if sketch.key != key_name(key):
                message = f"sketch {number} was made under another key than the one given: let all sketch under one"
                raise PlanError(message)
        self._secret = hash_secret(key)
        self._others = [_Other(sketch) for sketch in sketches]

    def __call__(self, text: str, language: str) -> bool:
        """Whether most of a text stands in the code of one of them."""
        functions = list(functions_of(text, language))
        words = [len(one) for one in functions]
        # One short function tells nothing of a file of tables.
        if sum(words) < MOSTLY * word_count(text):
            functions, words = [], []
        signatures = [np.frombuffer(one, np.uint8) for one in signatures_of(functions, self._secret)]
        runs = set(run_hashes(text, self._secret))
        return any(one.has_runs(runs) or one.has_functions(signatures, words) for one in self._others)


class _Other:
    """One sketch, so that one can look things up in it."""

    def __init__(self, sketch: Sketch) -> None:
        self._runs = frozenset(sketch.minima)
        # Up to here the sketch has every hash.
        self._end = sketch.minima[-1] if sketch.runs > KEPT else None
        self._matrix = sketch.matrix()
        self._bands: dict[tuple[int, bytes], list[int]] = {}
        for number, signature in enumerate(self._matrix):
            for band in bands(signature):
                self._bands.setdefault(band, []).append(number)

    def has_runs(self, runs: set[int]) -> bool:
        known = [one for one in runs if self._end is None or one <= self._end]
        return len(known) >= FEWEST and sum(one in self._runs for one in known) >= SHARE * len(known)

    def has_functions(self, signatures: Sequence[np.ndarray], words: Sequence[int]) -> bool:
        held = sum(count for one, count in zip(signatures, words, strict=True) if self._has(one))
        return bool(words) and held >= SHARE * sum(words)

    def _has(self, signature: np.ndarray) -> bool:
        near = {number for band in bands(signature) for number in self._bands.get(band, ())}
        return bool(near) and any_alike(signature, self._matrix[sorted(near)])
