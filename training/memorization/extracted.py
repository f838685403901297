"""Draws places in training files and measures how many of them a model can be made to continue exactly."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from training.memorization.clones import CloneClass
from training.memorization.extraction import CONTINUATION, PREFIXES, Recalled, Target, chance_in
from training.memorization.intervals import wilson
from training.memorization.judging import judged
from training.memorization.reciting import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from training.corpus_files import CorpusFile
    from training.memorization.clones import CloneIndex
    from training.memorization.journal import Journal
    from training.memorization.measurement import Measurement
    from training.memorization.reciting import Reciter, Scheme

NEEDED = max(PREFIXES) + CONTINUATION
"""Tokens that a file must have."""
DRAWS = (1, 100, 10_000)
PROBABILITY = 0.5
_TRIES = 20


@dataclass(frozen=True, slots=True)
class PlacesPlan:
    """How many places of each organization are drawn, and the scheme under which their probability is told."""

    count: int
    scheme: Scheme
    seed: int = 0


def recalled(
    reciter: Reciter,
    files: Mapping[str, Sequence[CorpusFile]],
    index: CloneIndex,
    plan: PlacesPlan,
    journal: Journal,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Recalled]:
    """What the model makes of places of each organization's files, after prompts of each length in PREFIXES."""
    targets: list[tuple[Target, int, Row]] = []
    for organization, some in files.items():
        rng = random.Random(f"targets {plan.seed} {organization}")  # noqa: S311 - no secret
        for target, tokens in _targets(reciter, some, index, plan.count, rng):
            for prefix in PREFIXES:
                before = (*reciter.opening, *tokens[target.start - prefix : target.start])
                row = Row(before, tuple(tokens[target.start : target.start + CONTINUATION]))
                targets.append((target, prefix, row))
    answers = judged(reciter, [row for _, _, row in targets], journal, plan.scheme, progress)
    return [
        Recalled(target, prefix, answer.greedy, answer.drawn)
        for (target, prefix, _), answer in zip(targets, answers, strict=True)
    ]


def _targets(
    reciter: Reciter, files: Sequence[CorpusFile], index: CloneIndex, count: int, rng: random.Random
) -> list[tuple[Target, list[int]]]:
    """Places drawn from the files, each token about as likely, with the tokens of their files; none in short files."""

    @lru_cache(maxsize=64)
    def read(number: int) -> tuple[list[int], list[CloneClass]]:
        return reciter.encode(files[number].text), index.classes(files[number].text)

    drawn: dict[tuple[int, int], None] = {}
    weights = [len(file.text) for file in files]
    for _ in range(count * _TRIES if files else 0):
        if len(drawn) == count:
            break
        number = rng.choices(range(len(files)), weights)[0]
        tokens = read(number)[0]
        if len(tokens) >= NEEDED:
            drawn[number, rng.randrange(max(PREFIXES), len(tokens) - CONTINUATION + 1)] = None
    found = []
    for number, start in sorted(drawn):
        tokens, classes = read(number)
        line = reciter.decode(tokens[:start]).count("\n")
        kind = classes[min(line, len(classes) - 1)] if classes else CloneClass.UNIQUE
        found.append((Target(files[number].organization, files[number].path, kind.value, start), tokens))
    return found


def extractability(measurement: Measurement, found: Sequence[Recalled]) -> None:
    """k-extractability for each prompt length, and (n, p)-discoverable extraction at p = PROBABILITY."""
    scopes = {(None, None)} | {
        scope
        for one in found
        for scope in (
            (one.target.organization, None), (None, one.target.kind), (one.target.organization, one.target.kind)
        )
    }  # fmt: skip
    for organization, kind in sorted(scopes, key=str):
        asked = [
            one for one in found if organization in (None, one.target.organization) and kind in (None, one.target.kind)
        ]
        rows = measurement.of(organization, kind)
        for prefix in PREFIXES:
            some = [one for one in asked if one.prefix == prefix]
            told = f"places followed by {CONTINUATION} tokens"
            rows.add(f"extractable_{prefix}", wilson(sum(one.greedy for one in some), len(some)), denominator=told)
            for draws in DRAWS:
                hits = sum(chance_in(draws, one.logprob) >= PROBABILITY for one in some)
                name = f"discoverable_{prefix}_n{draws}_p{round(100 * PROBABILITY)}"
                rows.add(name, wilson(hits, len(some)), denominator=told)
