"""Draws prompts from training files and lets a model go on with them. Knows no measure.

A prompt is the tokens before a line of a training file drawn at random, up to that line's beginning, so that whatever
the model writes are lines of its own. Which organization is asked about goes round, and every draw depends on the seed
and the number of the sample alone: a run that is taken up again draws what it would have drawn.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from training.memorization.reciting import BATCH, Scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from training.corpus_files import CorpusFile
    from training.memorization.journal import Journal
    from training.memorization.reciting import Reciter

NEAR = 2_000
"""Characters before a line that are tokenized for its prompt."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One sample. `organization`, `path` and `language` are those of the file that the prompt is from.

    `prompt` is the text that the model was given, `text` what it wrote alone, `ended` whether it ended it itself.
    """

    organization: str
    path: str
    language: str
    prompt: str
    text: str
    ended: bool

    @property
    def whole_lines(self) -> str:
        """The lines that are the text's alone: not the rest of the prompt's last one, nor one that was cut off."""
        start = self.text.find("\n") + 1 or len(self.text) if self.prompt else 0
        return self.text[start:] if self.ended else self.text[start : max(start, self.text.rfind("\n") + 1)]


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """How many samples, how many tokens before and in each, and how they are drawn."""

    samples: int = 1000
    prompt: int = 32
    tokens: int = 128
    scheme: Scheme = field(default_factory=Scheme)
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """The settings that decide what is drawn. The number of samples is none: a run may go on to more."""
        return {
            "prompt": self.prompt,
            "prompt_ends": "before white space",
            "tokens": self.tokens,
            "scheme": self.scheme.to_json(),
            "seed": self.seed,
        }


def sample(
    reciter: Reciter,
    files: Mapping[str, Sequence[CorpusFile]],
    plan: SamplingPlan,
    journal: Journal,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Generation]:
    """Write until the journal holds `plan.samples` generations, and answer them. `files` by organization."""
    organizations = [name for name, some in files.items() if some]
    while organizations and (done := len(journal.rows)) < plan.samples:
        # A batch begins at a multiple of its size, so that it is the same after an interruption.
        first = done - done % BATCH
        numbers = range(first, first + BATCH)
        asked = [_prompt(reciter, files[organizations[one % len(organizations)]], plan, one) for one in numbers]
        written = reciter.write([ids for _, ids in asked], plan.tokens, plan.scheme, _batch_seed(plan.seed, first))
        fresh = [
            Generation(
                file.organization, file.path, file.language, reciter.decode(prompt), reciter.decode(tokens),
                len(tokens) < plan.tokens,
            )
            for (file, prompt), tokens in zip(asked, written, strict=True)
        ]  # fmt: skip
        journal.append(asdict(one) for one in fresh[done - first :])
        progress(min(len(journal.rows), plan.samples))
    return [Generation(**row) for row in journal.rows[: plan.samples]]


def _batch_seed(seed: int, first: int) -> int:
    """A seed of its own for the batch that begins at `first`."""
    return random.Random(f"batch {seed} {first}").getrandbits(31)  # noqa: S311 - no secret


def _prompt(
    reciter: Reciter, files: Sequence[CorpusFile], plan: SamplingPlan, number: int
) -> tuple[CorpusFile, list[int]]:
    rng = random.Random(f"prompt {plan.seed} {number}")  # noqa: S311 - no secret
    # Files by their length: every line of the organization is as likely.
    file = rng.choices(files, [len(one.text) for one in files])[0]
    start = file.text.rfind("\n", 0, rng.randrange(len(file.text)) + 1) + 1
    return file, reciter.opened(file.text[max(0, start - NEAR) : start])[-plan.prompt :]
