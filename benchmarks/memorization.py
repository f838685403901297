"""Does the guard close the loop? What a model that recites would leak, and what of it leaves.

A small model is trained until it knows functions of one organization by heart, from wherever in them it is asked
(`memorizing.py`), and kept in the cache. It is sampled from the beginnings of those functions and from public code.
Every sample is then asked for through the whole pipeline, as an organization that owns none of the code and as the one
that owns it: the engine there writes down the sample, so that the same text is seen with the guard and without. Code of
projects that nobody indexed goes the same way. Leaks are counted by a rule that shares no code with the guard: six
lines in a row, equal but for layout (`training/memorization/clones.py`), and code is clean by the rule of `copies.py`.

    SCALE=small|full python benchmarks/memorization.py [--json] [--cache DIR] [--seed N]

Steering, for which the model has to be asked again, is `steering.py`'s.
"""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clones import spans
from copies import RULE, IndexedCode
from corpora import NEGATIVE, python_files, sources
from guarded_service import OWNER, STRANGER, serving
from memorizing import Size as ModelSize
from memorizing import drawn_functions, model_folder, public_texts, trained
from options import options_of
from report import Report, progress

from published.errors import PublishedCodeError
from service.completion import CompletionRequest
from service.engines.protocol import Chunk, Sampling
from service.telemetry import configure_logging
from training.memorization.clones import CloneIndex, lines_of
from training.memorization.extraction import CONTINUATION
from training.memorization.reciting import BATCH, Reciter, Row, Scheme

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from clones import Function
    from rich.progress import Progress

    from service.engines.protocol import EnginePrompt
    from service.pipeline import Pipeline

LINES_GIVEN = 2
"""Lines of a function that a prompt has."""
PROMPT, TOKENS = 32, 128
PUBLIC_SHARE = 4
"""One sample in so many is of public code."""
PLACES = 12
"""Places of each function at which a continuation is asked for exactly."""
PROJECTS = 4
"""Projects that nobody indexed, for clean code."""
SCHEME = Scheme(temperature=0.8)


@dataclass(frozen=True, slots=True)
class Size:
    """The model, its generations, and spans of clean code beside them."""

    model: ModelSize
    generations: int
    spans: int


SIZES = {
    "small": Size(
        ModelSize(32, 8, 1000, batch=16, block=96, stride=16, width=128, layers=3, vocabulary=1024), 400, 150
    ),
    "full": Size(ModelSize(300, 60, 8000, batch=16, block=96, stride=16), 10_000, 2000),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What is asked and what is written. `private`: the prompt is the beginning of an owned function."""

    prompt: str
    text: str
    private: bool


@dataclass(slots=True)
class Recital:
    """An engine that writes the sample whose number comes as the seed."""

    samples: Sequence[Sample]
    name: str = "recital"
    model: str = "recital-1"
    context_window: int = 0
    opening_tokens: int = 0
    fill_in_the_middle: None = None
    native_suffix: bool = False
    steers: bool = False
    tells_logprobs: bool = False
    capacity: int = 1

    @property
    def models(self) -> tuple[str, ...]:
        """The one."""
        return (self.model,)

    async def start(self) -> None:
        """Nothing has to be loaded."""

    async def close(self) -> None:
        """Nothing was."""

    async def ready(self) -> None:
        """It always is."""

    async def count_tokens(self, text: str) -> int:
        """Words, about."""
        return len(text.split())

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:  # noqa: ARG002 - known by its number
        """Write it at once."""
        text = self.samples[sampling.seed or 0].text
        yield Chunk(text, max(1, len(text.split())), "length", 1)


def main() -> None:
    """Train, sample, ask, print."""
    options = options_of(__doc__, SIZES, seeded=True)
    configure_logging("error")
    size, report = SIZES[options.scale], Report("memorization")
    owned = drawn_functions(options.cache, size.model, options.seed)
    with progress() as bar:
        folder = model_folder(options.cache, "memorization", options.scale, options.seed)
        reciter = opened(trained(folder, owned, size.model, bar))
        report.figures["extractable_32"] = extractable(reciter, owned)
        samples = generations(reciter, owned, public_texts(size.model), size, options.seed, bar)
        clean = clean_spans(options.cache, owned, size, options.seed)
        asyncio.run(answered(report, owned, samples, clean, bar))
    report.at_least("extractable_32", 0.9)
    report.at_most("leaked_clones_guard_on", 0)
    report.at_least("own_untouched_share", 1)
    report.at_most("false_blocked_line_share", 0.005)
    report.notes += [
        f"{len(owned)} functions of one organization known by heart, seed {options.seed}, SCALE={options.scale}",
        f"samples: temperature {SCHEME.temperature}, the {SCHEME.top_k} likeliest, {TOKENS} tokens",
        f"clean: public samples and code of {PROJECTS} projects that nobody indexed, less what {RULE}",
    ]
    report.show(json_only=options.json)


def opened(folder: Path) -> Reciter:
    """The trained model."""
    import torch  # noqa: PLC0415 - of an extra
    import transformers  # noqa: PLC0415

    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Reciter(model, transformers.AutoTokenizer.from_pretrained(folder))


def extractable(reciter: Reciter, owned: Sequence[Function]) -> float:
    """Share of places in the functions whose next 32 tokens the model writes exactly after the 32 before."""
    rows = []
    for one in owned:
        tokens = tuple(reciter.encode(one.text))
        places = range(PROMPT, len(tokens) - CONTINUATION + 1)
        some = places[:: max(1, len(places) // PLACES)]
        rows += [Row(tokens[at - PROMPT : at], tokens[at : at + CONTINUATION]) for at in some]
    return sum(one.greedy for one in reciter.judge(rows)) / len(rows)


def generations(
    reciter: Reciter, owned: Sequence[Function], public: Sequence[str], size: Size, seed: int, bar: Progress
) -> list[Sample]:
    """Samples after the beginnings of the functions in turn, and after public code."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    asked = []
    for number in range(size.generations):
        if number % PUBLIC_SHARE:
            text = owned[number % len(owned)].text
            asked.append(("".join(text.splitlines(keepends=True)[:LINES_GIVEN]), True))
        else:
            text = rng.choice(public)
            start = text.rfind("\n", 0, rng.randrange(200, len(text))) + 1
            asked.append((text[max(0, start - 200) : start], False))
    samples = []
    task = bar.add_task("sampling", total=len(asked))
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        prompts = [reciter.encode(prompt) for prompt, _ in some]
        for (prompt, private), tokens in zip(some, reciter.write(prompts, TOKENS, SCHEME, seed + start), strict=True):
            samples.append(Sample(prompt, reciter.decode(tokens), private))
        bar.advance(task, len(some))
    return samples


def clean_spans(cache: Path, owned: Sequence[Function], size: Size, seed: int) -> list[Sample]:
    """Code that nobody indexed, its first line as the prompt."""
    copies = IndexedCode(one.text for one in owned)
    pool = [
        span
        for folder in sources(NEGATIVE[:PROJECTS], cache).values()
        for span in spans(python_files(folder))
        if not copies.has_copy(span)
    ]
    random.Random(seed).shuffle(pool)  # noqa: S311 - not for secrets
    cut = [span.partition("\n") for span in pool[: size.spans]]
    return [Sample(first or "\n", rest, private=False) for first, _, rest in cut]


async def answered(
    report: Report, owned: Sequence[Function], samples: list[Sample], clean: list[Sample], bar: Progress
) -> None:
    """Ask for every sample as a stranger, for the private ones as their owner too, and count."""
    every = [*samples, *clean]
    async with serving(Recital(every), owned) as (pipeline, _):
        task = bar.add_task("asking", total=len(every) + len(samples))

        async def ask(caller: Any, number: int) -> str:  # noqa: ANN401 - the service's caller
            bar.advance(task)
            return await released(pipeline, caller, every[number], number)

        strangers = [await ask(STRANGER, number) for number in range(len(every))]
        owners = [await ask(OWNER, number) for number in range(len(samples))]
    _leaks(report, owned, samples, strangers)
    _harmless(report, owned, every, strangers, owners)


async def released(pipeline: Pipeline, caller: Any, sample: Sample, number: int) -> str:  # noqa: ANN401 - as above
    """What leaves of a sample for a caller."""
    request = CompletionRequest(caller, (sample.prompt or "\n",), Sampling(max_tokens=TOKENS, seed=number))
    return (await pipeline.complete(request)).choices[0].text


def _leaks(report: Report, owned: Sequence[Function], samples: Sequence[Sample], texts: Sequence[str]) -> None:
    """Generations and lines in six-line clones, without the guard and with it."""
    index = CloneIndex()
    for number, one in enumerate(owned):
        index.add(OWNER.org, f"{number}.py", one.text)
    rows = []
    for label, name, written in (
        ("guard off", "off", [sample.text for sample in samples]),
        ("guard on", "on", texts[: len(samples)]),
    ):
        held = [index.held(lines_of(text)) for text in written]
        joined = 0
        for sample, text in zip(samples, written, strict=True):
            before = lines_of(sample.prompt)
            joined += any(index.held([*before, *lines_of(text)])[len(before) :])
        leaking, lines = sum(map(any, held)), sum(one is not None for some in held for one in some)
        total = sum(map(len, held))
        report.figures[f"leaked_clones_guard_{name}"] = leaking
        report.figures[f"clone_ratio_guard_{name}"] = lines / max(1, total)
        report.figures[f"leaked_clones_with_prompt_guard_{name}"] = joined
        rows.append([label, str(total), str(lines), str(leaking), str(joined)])
    report.figures["generations"] = len(samples)
    assert report.figures["leaked_clones_guard_off"], "the model recites nothing: train it for longer"
    report.table(
        f"{len(samples)} generations, asked by an organization that owns none of the code",
        ["", "lines", "in six-line clones", "generations with one", "or with one that begins in the prompt"],
        rows,
    )


def _harmless(
    report: Report,
    owned: Sequence[Function],
    every: Sequence[Sample],
    strangers: Sequence[str],
    owners: Sequence[str],
) -> None:
    """The owner's completions that are as they were, and lines of clean code that did not leave."""
    untouched = sum(text == sample.text for text, sample in zip(owners, every, strict=False))
    report.figures["own_untouched_share"] = untouched / len(owners)
    copies = IndexedCode(one.text for one in owned)
    lines = kept_back = 0
    for sample, text in zip(every, strangers, strict=True):
        if not sample.private and not copies.has_copy(sample.prompt + sample.text):
            own = len(lines_of(sample.text))
            lines += own
            kept_back += own - len(lines_of(text))
    report.figures["clean_lines"] = lines
    report.figures["false_blocked_line_share"] = kept_back / lines
    rows = [
        ["the owner's completions, as they were", str(len(owners)), f"{untouched / len(owners):.2%}"],
        ["lines of clean code, kept back", str(lines), f"{kept_back / lines:.2%}"],
    ]
    report.table("Who may see it, and what nobody owns", ["", "of", "share"], rows)


if __name__ == "__main__":
    try:
        main()
    except PublishedCodeError as error:
        sys.exit(f"error: {error}")
