"""How good a model is at the organizations' code: loss on files it was not trained on, and completions of them.

Every measure is taken on the test split, by organization and over all. Trains nothing and runs no generated code.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.examples import Split
from training.infilling_problems import read_problems
from training.memorization.intervals import mean_by_file, wilson
from training.memorization.journal import Journal
from training.memorization.judging import judged
from training.memorization.measurement import Measurement
from training.memorization.reciting import BATCH, Row
from training.memorization.separated import drawn_files
from training.similarity import edit_similarity, same_length

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from training.corpus_files import CorpusFile, OrganizationCorpus
    from training.memorization.measuring import Subject
    from training.memorization.reciting import Reciter

BLOCK = 256
"""Tokens that are judged together, and that stand before a line to complete."""
BLOCKS = 8
"""Blocks of a file that are judged at most."""
TELLING = 4
"""Letters and digits of a line that is worth completing."""
LINE_TOKENS = 48
AFTER = 1_000
"""Characters behind a gap that are shown."""


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """Test files and completions of each organization at most; a file of HumanEval-Infilling, and how many of it."""

    files: int = 200
    completions: int = 200
    problems: Path | None = None
    most_problems: int = 200
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """The settings, for the measurement."""
        return {
            "files_per_organization": self.files,
            "completions_per_organization": self.completions,
            "problems": None if self.problems is None else self.problems.name,
            "most_problems": self.most_problems,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class Gap:
    """A completion to ask for: the prompt, what stands there, and whom (None: nobody) and which file it counts for."""

    organization: str | None
    file: str
    prompt: tuple[int, ...]
    truth: str
    tokens: int


def evaluate(
    subject: Subject,
    corpora: Sequence[OrganizationCorpus],
    plan: EvaluationPlan,
    folder: Path,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Measurement:
    """Evaluate a model by the test files of `corpora`; what is found goes to journals in `folder` as it is found.

    Raises:
        PlanError: a corpus or the file of problems cannot be read.
        DestinationError: the folder cannot be written, or holds another evaluation.
    """
    measurement = Measurement(subject.name, subject.sha256, subject.reciter.precision)
    digests = {one.organization: one.sha256 for one in corpora}
    measurement.settings = {**plan.to_json(), "corpora": digests}
    problems = [] if plan.problems is None else read_problems(plan.problems)
    files = drawn_files({one.organization: one.files(Split.TEST) for one in corpora}, plan.files, plan.seed)
    for organization in digests:
        if not any(file.organization == organization for file in files):
            measurement.notes.append(f"{organization} has no test files: nothing of it is evaluated")

    def journal(stage: str, **settings: object) -> Journal:
        run = {"stage": stage, "model_sha256": subject.sha256 or subject.name, "precision": subject.reciter.precision}
        return Journal(folder / f"{stage}.jsonl", {**run, "corpora": digests, "seed": plan.seed, **settings})

    held_out_loss(measurement, subject.reciter, files, journal("losses", files=plan.files), progress)
    kinds = {"next_line": next_lines(subject.reciter, files, plan)}
    if subject.reciter.fills_in:
        kinds["middle"] = middles(subject.reciter, files, plan)
    else:
        measurement.notes.append("the model has no tokens for fill-in-the-middle: gaps are completed from before alone")
    if problems:
        kinds["humaneval_infilling"] = _problem_gaps(subject.reciter, problems, plan)
        measurement.notes.append("HumanEval-Infilling: no pass@1, since generated code is not run without a sandbox")
    for name, gaps in kinds.items():
        kept = journal(name, completions=plan.completions, problems=plan.to_json()["problems"], most=plan.most_problems)
        completions(measurement, name, subject.reciter, gaps, kept, progress)
    return measurement


def held_out_loss(
    measurement: Measurement,
    reciter: Reciter,
    files: Sequence[CorpusFile],
    journal: Journal,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> None:
    """Mean loss a token in nats, each block of BLOCK tokens for itself; limits by drawing files."""
    rows: list[tuple[CorpusFile, Row]] = []
    for file in files:
        tokens = reciter.encode(file.text)[: BLOCK * BLOCKS]
        pieces = (tuple(tokens[start : start + BLOCK]) for start in range(0, len(tokens), BLOCK))
        rows += [(file, Row(reciter.opening, piece)) for piece in pieces if len(piece) > 1]
    answers = judged(
        reciter, [row for _, row in rows], journal, None, lambda done: progress("held-out loss", done, len(rows))
    )
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (file, _), answer in zip(rows, answers, strict=True):
        both = sums[file.organization, file.path]
        both[0] -= float(answer.logprobs.sum())
        both[1] += len(answer.logprobs)
    for organization in (None, *dict.fromkeys(name for name, _ in sums)):
        parts = [(one[0], one[1]) for (name, _), one in sums.items() if organization in (None, name)]
        measurement.of(organization, None).add("held_out_loss", mean_by_file(parts), unit="nats a token")


def next_lines(reciter: Reciter, files: Sequence[CorpusFile], plan: EvaluationPlan) -> list[Gap]:
    """Lines of test files to write from what stands before them."""
    return [
        Gap(file.organization, file.path, tuple(reciter.opened(before[-8 * BLOCK :])[-BLOCK:]), line, LINE_TOKENS)
        for file, before, line, _ in _lines(files, plan)
    ]


def middles(reciter: Reciter, files: Sequence[CorpusFile], plan: EvaluationPlan) -> list[Gap]:
    """Lines of test files to write from what stands on both sides."""
    return [
        Gap(
            file.organization, file.path, tuple(reciter.gap(before[-4 * BLOCK :], after[:AFTER])), line, LINE_TOKENS
        )
        for file, before, line, after in _lines(files, plan)
    ]  # fmt: skip


def _lines(files: Sequence[CorpusFile], plan: EvaluationPlan) -> list[tuple[CorpusFile, str, str, str]]:
    """Drawn lines that say something, with the text before and behind them: so many of each organization at most."""
    found: list[tuple[CorpusFile, str, str, str]] = []
    for organization in dict.fromkeys(file.organization for file in files):
        places = []
        for file in (one for one in files if one.organization == organization):
            start = 0
            for number, line in enumerate(file.text.splitlines(keepends=True)):
                if number and sum(map(str.isalnum, line)) >= TELLING:
                    places.append((file, start, start + len(line)))
                start += len(line)
        rng = random.Random(f"lines {plan.seed} {organization}")  # noqa: S311 - no secret
        for file, start, end in rng.sample(places, min(plan.completions, len(places))):
            found.append((file, file.text[:start], file.text[start:end], file.text[end:]))
    return found


def _problem_gaps(reciter: Reciter, problems: Sequence[Any], plan: EvaluationPlan) -> list[Gap]:
    rng = random.Random(f"problems {plan.seed}")  # noqa: S311 - no secret
    room = reciter.window
    gaps = []
    for one in rng.sample(list(problems), min(plan.most_problems, len(problems))):
        tokens = min(256, 2 * len(reciter.encode(one.middle)) + 16)
        prompt = reciter.gap(one.prefix, one.suffix)
        if len(prompt) + tokens < room:
            gaps.append(Gap(None, one.function, tuple(prompt), one.middle, tokens))
    return gaps


def completions(
    measurement: Measurement,
    name: str,
    reciter: Reciter,
    gaps: Sequence[Gap],
    journal: Journal,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> None:
    """Exact matches and edit similarity of greedy completions, cut to as many lines as the truth has.

    White space at their ends does not count: prompts from before alone end where a word does.
    """
    for start in range(len(journal.rows), len(gaps), BATCH):
        some = gaps[start : start + BATCH]
        written = reciter.write([gap.prompt for gap in some], max(gap.tokens for gap in some), None, 0)
        journal.append({"text": reciter.decode(tokens)} for tokens in written)
        progress(name.replace("_", " "), len(journal.rows), len(gaps))
    pairs = [
        (gap, same_length(row["text"].lstrip(), gap.truth.strip()).strip(), gap.truth.strip())
        for gap, row in zip(gaps, journal.rows, strict=False)
    ]
    similar = [(gap, edit_similarity(text, truth)) for gap, text, truth in pairs]
    for organization in dict.fromkeys([None, *(gap.organization for gap in gaps)]):
        rows = measurement.of(organization, None)
        own = [text == truth for gap, text, truth in pairs if organization in (None, gap.organization)]
        rows.add(f"{name}_exact_match", wilson(sum(own), len(own)))
        by_file: dict[tuple[str | None, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for gap, likeness in similar:
            if organization in (None, gap.organization):
                by_file[gap.organization, gap.file][0] += likeness
                by_file[gap.organization, gap.file][1] += 1
        estimate = mean_by_file([(both[0], both[1]) for both in by_file.values()])
        rows.add("edit_similarity" if name == "next_line" else f"{name}_edit_similarity", estimate)
