"""What the accuracy benchmark asks: functions of indexed projects, to be disguised, and code that is independent.

Knows nothing of the guard. Equal seeds draw equal material.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clones import Function, functions, spans
from copies import IndexedCode
from corpora import python_files

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = 1000
"""Spans that are kept apart to hide functions in; none of them is asked about by itself."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked: functions of each kind, negatives of each kind."""

    functions: int
    negatives: int


@dataclass(frozen=True, slots=True)
class Material:
    """Functions that stand in the index, negatives that do not, and foreign spans; `set_aside` copies were left out."""

    indexed: dict[str, list[tuple[str, str]]]
    positives: list[Function]
    independent_functions: list[str]
    independent_spans: list[str]
    foreign: list[str]
    set_aside: int
    candidates: int


def gather(indexed: dict[str, Path], negative: dict[str, Path], size: Size, seed: int) -> Material:
    """Read the projects' folders and draw from them."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, no secret
    known = {name: list(python_files(folder)) for name, folder in indexed.items()}
    others = {name: list(python_files(folder)) for name, folder in negative.items()}
    positives = [function for name, files in known.items() for function in functions(name, files)]
    loose_functions = [function.text for name, files in others.items() for function in functions(name, files)]
    loose_spans = [span for files in others.values() for span in spans(files)]
    for pool in (positives, loose_functions, loose_spans):
        rng.shuffle(pool)
    code = IndexedCode(text for files in known.values() for _, text in files)
    independent_functions, function_copies = _without_copies(loose_functions, code, size.negatives)
    independent_spans, span_copies = _without_copies(loose_spans, code, size.negatives + FOREIGN)
    return Material(
        indexed=known,
        positives=positives[: size.functions],
        independent_functions=independent_functions,
        independent_spans=independent_spans[: size.negatives],
        foreign=independent_spans[size.negatives :],
        set_aside=function_copies + span_copies,
        candidates=len(independent_functions) + len(independent_spans) + function_copies + span_copies,
    )


def _without_copies(texts: list[str], code: IndexedCode, count: int) -> tuple[list[str], int]:
    """The first `count` texts that copy nothing, and how many copies were met on the way."""
    kept: list[str] = []
    for number, text in enumerate(texts):
        if len(kept) == count:
            return kept, number - len(kept)
        if not code.has_copy(text):
            kept.append(text)
    return kept, len(texts) - len(kept)
