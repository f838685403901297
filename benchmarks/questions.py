"""What the accuracy benchmark asks, drawn up once and put to every detector alike, one by one or as a batch.

Knows no detector. A tool that reads whole folders (jscpd) is asked everything of a kind at once; the others through
`OneByOne`. Recall counts a copy only if the right owner is named.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clones import KINDS, disguise, thirds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from material import Material

TENTH = 9
"""Newlines before the tenth line: `three lines` counts a function whose tenth line never comes."""


@dataclass(frozen=True, slots=True)
class Question:
    """A text, what stands before it, and whose code it copies (None: nobody's)."""

    text: str
    prefix: str = ""
    owner: str | None = None


class BatchDetector(Protocol):
    """Whatever says of many texts whose code each copies."""

    def answers(self, questions: Sequence[Question]) -> list[set[str]]:
        """Names of the owners for each question, an empty set where it finds the text clean."""


class Detector(Protocol):
    """Whatever says whose code one text copies."""

    def owners(self, text: str, prefix: str = "") -> set[str]:
        """Names of the owners, empty if it finds the text clean."""


@dataclass(frozen=True, slots=True)
class OneByOne:
    """A detector that is asked about one text at a time."""

    detector: Detector

    def answers(self, questions: Sequence[Question]) -> list[set[str]]:
        """Ask about each in turn."""
        return [self.detector.owners(question.text, question.prefix) for question in questions]


@dataclass(frozen=True, slots=True)
class Asked:
    """All questions: copies by kind, functions in steps of three lines, and by kind what copies nothing."""

    copies: dict[str, list[Question]]
    drawn: list[list[Question]]
    negatives: dict[str, list[Question]]


def asked(material: Material) -> Asked:
    """The questions of this material; equal material gives equal questions."""
    copies = {}
    for kind in KINDS:
        copies[kind] = [
            Question(disguise(kind, function.text, material.foreign, seeded(kind, function.text)), "", function.project)
            for function in material.positives
        ]
    long = [function for function in material.positives if function.text.count("\n") >= TENTH]
    drawn = [
        [
            Question(lines, prefix, function.project)
            for prefix, lines in thirds(function.text)
            if prefix.count("\n") <= TENTH
        ]
        for function in long
    ]
    negatives = {"functions": material.independent_functions, "spans": material.independent_spans}
    return Asked(copies, drawn, {kind: [Question(text) for text in texts] for kind, texts in negatives.items()})


def seeded(kind: str, text: str) -> random.Random:
    """A generator that depends on nothing but what it is for."""
    return random.Random(zlib.crc32(f"{kind} {text}".encode()))  # noqa: S311 - reproducible, no secret


def figures(detector: BatchDetector, questions: Asked, name: str) -> dict[str, float]:
    """Recall by kind and rates of false alarms, each from 0 to 1; `name` goes in front of each figure's."""
    found = {f"{name}recall_{kind}": recall(detector, some) for kind, some in questions.copies.items()}
    found[f"{name}recall_three_lines"] = stopped_in_time(detector, questions.drawn)
    for kind, some in questions.negatives.items():
        found[f"{name}false_alarms_{kind}"] = share(bool(owners) for owners in detector.answers(some))
    return found


def recall(detector: BatchDetector, questions: Sequence[Question]) -> float:
    """How many of the copies have their owner among those named, from 0 to 1."""
    return share(question.owner in owners for question, owners in _answered(detector, questions))


def stopped_in_time(detector: BatchDetector, drawn: Sequence[Sequence[Question]]) -> float:
    """How many of the texts that are drawn in steps are recognized at one of them, from 0 to 1.

    A round asks for the next step of every text that was not recognized yet.
    """
    left = list(drawn)
    step = 0
    recognized = 0
    while left:
        answered = _answered(detector, [steps[step] for steps in left])
        kept = [steps for steps, (asked_, owners) in zip(left, answered, strict=True) if asked_.owner not in owners]
        recognized += len(left) - len(kept)
        step += 1
        left = [steps for steps in kept if len(steps) > step]
    return recognized / len(drawn)


def share(outcomes: Iterable[bool]) -> float:
    """How many are true, from 0 to 1; not a number of none."""
    known = list(outcomes)
    return sum(known) / len(known) if known else float("nan")


def _answered(detector: BatchDetector, questions: Sequence[Question]) -> list[tuple[Question, set[str]]]:
    return list(zip(questions, detector.answers(questions), strict=True))
