"""What the memorizing model writes, kept as it is written, and an engine that writes it again for whoever asks.

So the same text is seen with the guard and without, as its owner and as a stranger. Knows no guard.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clones import spans
from copies import IndexedCode
from corpora import NEGATIVE, python_files, sources
from unloaded import Unloaded

from registry.tree import folder_digest
from service.engines.protocol import Chunk
from training.memorization.journal import Journal
from training.memorization.reciting import Reciter, Scheme

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from clones import Function
    from rich.progress import Progress

    from service.engines.protocol import EnginePrompt, Sampling

LINES_GIVEN = 2
"""Lines of a function that a prompt has."""
LINES_LEFT = 6
"""Lines that a function has behind them at least: a clone, where they are recited."""
TOKENS = 128
BATCH = 100
"""Samples that are drawn together; a multiple of PUBLIC_SHARE."""
PUBLIC_SHARE = 4
"""One sample in so many is of public code."""
PUBLIC_PROMPT = 200
"""Characters, about."""
PROJECTS = 4
"""Projects that nobody indexed, for clean code."""
SCHEME = Scheme(temperature=0.8)


@dataclass(frozen=True, slots=True)
class Sample:
    """What is asked and what is written. `private`: the prompt is out of an owned function."""

    prompt: str
    text: str
    private: bool


class Recital(Unloaded):
    """An engine that writes the sample whose number comes as the seed."""

    name = model = "recital"
    native_suffix = False
    capacity = 16

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:  # noqa: ARG002 - known by its number
        """Write it line by line, and end where the tokens were used up."""
        lines = self._samples[sampling.seed or 0].text.splitlines(keepends=True)
        for line in lines:
            yield Chunk(line, max(1, len(line.split())))
        yield Chunk("", finish_reason="length")


def generations(
    folder: Path,
    reciter: Reciter,
    asked: tuple[Sequence[Function], Sequence[str]],
    count: int,
    seed: int,
    bar: Progress,
) -> list[Sample]:
    """`count` samples of the model in `folder`, after lines out of the functions and, by PUBLIC_SHARE, public code.

    They lie beside the model; a sampling that was interrupted goes on at its last batch.
    """
    of = {"model": folder_digest(folder), "seed": seed, "tokens": TOKENS, "scheme": SCHEME.to_json(), "batch": BATCH}
    journal = Journal(folder.with_suffix(".samples.jsonl"), of)
    task = bar.add_task("sampling", total=count, completed=len(journal.rows))
    while (done := len(journal.rows)) < count:
        # A batch begins at a multiple of its size, so that it is the same after an interruption.
        first = done - done % BATCH
        prompts = [_prompt(*asked, number, seed) for number in range(first, first + BATCH)]
        written = reciter.write([reciter.encode(one) for one in prompts], TOKENS, SCHEME, seed + first)
        rows = [
            {"prompt": prompt, "text": reciter.decode(tokens), "private": number % PUBLIC_SHARE > 0}
            for number, (prompt, tokens) in enumerate(zip(prompts, written, strict=True), first)
        ]
        journal.append(rows[done - first :])
        bar.update(task, completed=len(journal.rows))
    return [Sample(**row) for row in journal.rows[:count]]


def _prompt(owned: Sequence[Function], public: Sequence[str], number: int, seed: int) -> str:
    """Two lines of a function, its first ones or others, as an editor has them: the cursor at the second's end.

    A line break at the end would be a token of its own, where the model has learnt it together with what indents the
    next line.
    """
    rng = random.Random(f"prompt {seed} {number}")  # noqa: S311 - not for secrets
    if number % PUBLIC_SHARE:
        lines = rng.choice(owned).text.splitlines()
        start = rng.choice([0, rng.randrange(max(1, len(lines) - LINES_GIVEN - LINES_LEFT + 1))])
        return "\n".join(lines[start : start + LINES_GIVEN])
    text = rng.choice(public)
    end = text.rfind("\n", 0, rng.randrange(PUBLIC_PROMPT, len(text)))
    return text[max(0, end - PUBLIC_PROMPT) : max(1, end)]


def clean_spans(cache: Path, owned: Sequence[Function], count: int, seed: int) -> list[Sample]:
    """Code that nobody indexed, its first line as the prompt."""
    copies = IndexedCode(one.text for one in owned)
    pool = [
        span
        for folder in sources(NEGATIVE[:PROJECTS], cache).values()
        for span in spans(python_files(folder))
        if not copies.has_copy(span)
    ]
    random.Random(seed).shuffle(pool)  # noqa: S311 - not for secrets
    cut = [span.partition("\n") for span in pool[:count]]
    return [Sample(first or "\n", rest, private=False) for first, _, rest in cut]
