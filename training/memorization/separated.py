"""How well a model's own losses tell training files from others, and planted canaries from absent ones."""

from __future__ import annotations

import random
from dataclasses import astuple
from typing import TYPE_CHECKING

from training.examples import Split
from training.memorization.audit import audit
from training.memorization.canaries import exposure, extrapolated_exposure, references
from training.memorization.intervals import Estimate, compared, mean_by_file
from training.memorization.judging import judged
from training.memorization.membership import FALSE_POSITIVES, Scores, auc, roc, scores, true_positives
from training.memorization.reciting import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from training.corpus_files import CorpusFile
    from training.memorization.canaries import Canary
    from training.memorization.journal import Journal
    from training.memorization.measurement import Measurement
    from training.memorization.reciting import Reciter

HEAD = 256
"""Tokens of a file that are judged."""
FEWEST = 2
"""Files of each side without which nothing is told."""
ATTACKS = {"loss": "mia_auc", "zlib": "mia_auc_zlib", "min_k": "mia_auc_min_k"}


def file_scores(
    reciter: Reciter,
    files: Sequence[CorpusFile],
    journal: Journal,
    progress: Callable[[int], None] = lambda _: None,
) -> list[tuple[CorpusFile, Scores]]:
    """The scores of the first HEAD tokens of each file; files of less than two tokens are left out."""
    usable: list[tuple[CorpusFile, list[int]]] = []
    for file in files:
        tokens = reciter.encode(file.text[: 40 * HEAD])[:HEAD]
        if len(tokens) > 1:
            usable.append((file, tokens))
    answers = judged(reciter, [Row(reciter.opening, tuple(ids)) for _, ids in usable], journal, None, progress)
    return [
        (file, scores(answer.logprobs, reciter.decode(tokens)))
        for (file, tokens), answer in zip(usable, answers, strict=True)
    ]


def drawn_files(by_organization: Mapping[str, Sequence[CorpusFile]], most: int, seed: int) -> list[CorpusFile]:
    """At most so many files of each organization."""
    answer: list[CorpusFile] = []
    for organization, files in by_organization.items():
        rng = random.Random(f"files {seed} {organization}")  # noqa: S311 - no secret
        answer += rng.sample(list(files), min(most, len(files)))
    return answer


def membership(measurement: Measurement, found: Sequence[tuple[CorpusFile, Scores]], seed: int = 0) -> None:
    """AUC of training against test files for each attack, and true positives at a rate of FALSE_POSITIVES."""
    organizations = sorted({file.organization for file, _ in found})
    for organization in (None, *organizations):
        own = [(file, one) for file, one in found if organization in (None, file.organization)]
        inside = [astuple(one) for file, one in own if file.split is Split.TRAIN]
        outside = [astuple(one) for file, one in own if file.split is Split.TEST]
        if min(len(inside), len(outside)) < FEWEST:
            whose = organization or "all organizations"
            measurement.notes.append(
                f"{whose}: {len(inside)} training and {len(outside)} test files are too few to tell membership"
            )
            continue
        rows = measurement.of(organization, None)
        for column, (attack, name) in enumerate(ATTACKS.items()):
            ones, others = [row[column] for row in inside], [row[column] for row in outside]
            told = {"members": len(ones), "non_members": len(others)}
            rows.add(name, compared(auc, ones, others, seed), **told)
            rows.add(f"mia_tpr_1_{attack}", compared(true_positives, ones, others, seed), **told)
            if organization is None:
                false, true = roc(ones, others)
                curve = {"false": false.round(5).tolist(), "true": true.round(5).tolist()}
                measurement.curves[f"roc_{attack}"] = curve
        if organization is None and len(outside) < 1 / FALSE_POSITIVES:
            measurement.notes.append(
                f"{len(outside)} test files: true positives at 1 % are those above all of them, which takes "
                f"{round(1 / FALSE_POSITIVES)} to tell"
            )


def canary_logprobs(
    reciter: Reciter,
    canaries: Sequence[Canary],
    journal: Journal,
    count: int,
    progress: Callable[[int], None] = lambda _: None,
) -> list[list[float]]:
    """For each canary, the log-probability of its line after the end of another, and with `count` other secrets."""
    before = (*reciter.opening, *reciter.encode("\n"))
    rows = [
        Row(before, tuple(reciter.encode(one.line)))
        for canary in canaries
        for one in (canary, *references(canary, count))
    ]
    answers = [float(one.logprobs.sum()) for one in judged(reciter, rows, journal, None, progress)]
    return [answers[start : start + count + 1] for start in range(0, len(answers), count + 1)]


def canary_measures(
    measurement: Measurement, canaries: Mapping[str, Sequence[tuple[Canary, list[float]]]], seed: int = 0
) -> None:
    """Exposure in bits of planted and of absent canaries, AUC between them, and the audit's bound on epsilon."""
    every = [one for some in canaries.values() for one in some]
    for organization, some in [(None, every), *canaries.items()]:
        planted = [values for canary, values in some if canary.planted]
        absent = [values for canary, values in some if not canary.planted]
        rows = measurement.of(organization, None)
        for name, those in (("canary_exposure", planted), ("canary_exposure_absent", absent)):
            for suffix, measure in (("", exposure), ("_extrapolated", extrapolated_exposure)):
                bits = [(measure(values[0], values[1:]), 1.0) for values in those]
                rows.add(name + suffix, mean_by_file(bits, seed), unit="bits")
        # A name may suit the model better than another: a canary is held against its own references.
        ones, others = [_surprise(values) for values in planted], [_surprise(values) for values in absent]
        rows.add("canary_auc", compared(auc, ones, others, seed), planted=len(ones), absent=len(others))
        bound = audit([*ones, *others], [True] * len(ones) + [False] * len(others))
        if bound is not None:
            estimate = Estimate(bound.epsilon, bound.epsilon, bound.epsilon, bound.canaries)
            rows.add("audit_epsilon", estimate, unit=f"lower bound; one canary and its copies; delta {bound.delta}",
                     guesses=bound.guesses, right=bound.right)  # fmt: skip


def _surprise(values: Sequence[float]) -> float:
    """How much likelier a canary is than the mean of its references, in nats."""
    return values[0] - sum(values[1:]) / max(1, len(values) - 1)
