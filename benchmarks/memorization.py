"""Does the guard close the loop? What a model that recites would leak, and what of it leaves.

A small model is trained until it knows functions of one organization by heart, from wherever in them it is asked
(`memorizing.py`), and sampled from lines of those functions and from public code (`recitals.py`). Both are kept in the
cache, and go on where they were interrupted. Every sample is then asked for through the whole pipeline, as an
organization that owns none of the code and as the one that owns it: the engine there writes down the sample, so that
the same text is seen with the guard and without. One in WEB_SHARE is asked for over HTTP, half of them as streams. Code
of projects that nobody indexed goes the same way. Leaks are counted by a rule that shares no code with the guard: six
lines in a row, equal but for layout (`training/memorization/clones.py`), and code is clean by the rule of `copies.py`.

    SCALE=small|full python benchmarks/memorization.py [--json] [--cache DIR] [--seed N]

Steering, for which the model has to be asked again, is `steering.py`'s.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copies import RULE, IndexedCode
from guarded_service import OWNER, STRANGER, over_http, serving
from memorizing import SIZES as MODELS
from memorizing import drawn_functions, model_folder, public_texts, trained
from options import options_of
from recitals import PROJECTS, SCHEME, TOKENS, Recital, Sample, clean_spans, generations
from report import Report, progress

from published.errors import PublishedCodeError
from service.completion import CompletionRequest
from service.engines.protocol import Sampling
from service.telemetry import configure_logging
from training.memorization.clones import CloneIndex, lines_of
from training.memorization.extraction import CONTINUATION
from training.memorization.reciting import Reciter, Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import httpx
    from clones import Function
    from guarded_service import Serving
    from rich.progress import Progress

    from service.accounts import Caller

PROMPT = 32
"""Tokens before a place at which a continuation is asked for exactly."""
PLACES = 12
"""Such places of each function."""
WEB_SHARE = 10
"""One sample in so many is asked for over HTTP, too."""
TOGETHER = 8
"""Requests under way at a time."""
OPEN_LETTERS = 11
"""Of a literal that a text leaves open at its end, or of short ones in a row: so many stay back, whoever asks."""


@dataclass(frozen=True, slots=True)
class Size:
    """Generations of the model, which is the small one at either size, and spans of clean code beside them."""

    generations: int
    spans: int


SIZES = {"small": Size(600, 150), "full": Size(10_000, 1000)}


@dataclass(frozen=True, slots=True)
class Answers:
    """What leaves of every sample for a stranger, of the generations for their owner, and of some over HTTP."""

    strangers: Sequence[str]
    owners: Sequence[str]
    web: dict[int, str]


def main() -> None:
    """Train, sample, ask, print."""
    options = options_of(__doc__, SIZES, seeded=True)
    configure_logging("error")
    size, model, report = SIZES[options.scale], MODELS["small"], Report("memorization")
    owned = drawn_functions(options.cache, model, options.seed)
    with progress() as bar:
        folder = trained(model_folder(options.cache, "small", options.seed), owned, model, bar)
        reciter = opened(folder)
        report.figures["extractable_32"] = extractable(reciter, owned)
        asked = (owned, public_texts(model))
        samples = generations(folder, reciter, asked, size.generations, options.seed, bar)
        every = [*samples, *clean_spans(options.cache, owned, size.spans, options.seed)]
        answers = asyncio.run(answered(every, len(samples), owned, bar))
    _leaks(report, owned, samples, answers)
    _harmless(report, owned, every, answers)
    report.at_least("extractable_32", 0.9)
    report.at_most("leaked_clones_guard_on", 0)
    report.at_most("leaked_clones_over_http", 0)
    report.at_least("own_unblocked_share", 1)
    report.at_most("false_blocked_line_share", 0.005)
    report.notes += [
        f"{len(owned)} functions of one organization known by heart, seed {options.seed}, SCALE={options.scale}",
        f"samples: temperature {SCHEME.temperature}, the {SCHEME.top_k} likeliest, {TOKENS} tokens",
        f"clean: public samples and code of {PROJECTS} projects that nobody indexed, less what {RULE}",
        "unblocked: as it was, but for what a text that breaks off leaves open of a literal, which nobody is given",
    ]
    report.show(json_only=options.json)


def opened(folder: Path) -> Reciter:
    """The trained model."""
    import torch  # noqa: PLC0415 - of an extra
    import transformers  # noqa: PLC0415

    torch.set_num_threads(1)  # so small a model waits for a second one
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


async def answered(every: Sequence[Sample], generated: int, owned: Sequence[Function], bar: Progress) -> Answers:
    """Ask for every sample as a stranger, for those that were `generated` as their owner too, and some over HTTP."""
    web = range(0, generated, WEB_SHARE)
    task = bar.add_task("asking", total=len(every) + generated + len(web))
    turn = asyncio.Semaphore(TOGETHER)
    async with serving(Recital(every), owned) as served:

        async def released(caller: Caller, number: int) -> str:
            request = CompletionRequest(caller, (every[number].prompt,), Sampling(max_tokens=TOKENS, seed=number))
            async with turn:
                text = (await served.pipeline.complete(request)).choices[0].text
            bar.advance(task)
            return text

        strangers = await asyncio.gather(*(released(STRANGER, number) for number in range(len(every))))
        owners = await asyncio.gather(*(released(OWNER, number) for number in range(generated)))
        async with over_http(served) as client:
            texts = []
            for turn_, number in enumerate(web):
                texts.append(await fetched(client, served, every[number].prompt, number, stream=turn_ % 2 > 0))
                bar.advance(task)
    return Answers(strangers, owners, dict(zip(web, texts, strict=True)))


async def fetched(client: httpx.AsyncClient, served: Serving, prompt: str, number: int, *, stream: bool) -> str:
    """What a stranger is sent of a sample over HTTP."""
    body = {"prompt": prompt, "max_tokens": TOKENS, "seed": number, "stream": stream}
    headers = {"Authorization": f"Bearer {served.keys[STRANGER.org]}"}
    answer = (await client.post("/v1/completions", json=body, headers=headers)).raise_for_status()
    if not stream:
        return str(answer.json()["choices"][0]["text"])
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]", lines[-1]
    return "".join(choice["text"] for line in lines[:-1] for choice in json.loads(line)["choices"])


def _leaks(report: Report, owned: Sequence[Function], samples: Sequence[Sample], answers: Answers) -> None:
    """Generations and lines in six-line clones, without the guard and with it."""
    index = CloneIndex()
    for number, one in enumerate(owned):
        index.add(OWNER.org, f"{number}.py", one.text)
    rows = []
    for label, name, written in (
        ("guard off", "guard_off", {number: sample.text for number, sample in enumerate(samples)}),
        ("guard on", "guard_on", dict(enumerate(answers.strangers[: len(samples)]))),
        ("guard on, over HTTP", "over_http", answers.web),
    ):
        held = [index.held(lines_of(text)) for text in written.values()]
        joined = sum(_continues(index, samples[number].prompt, text) for number, text in written.items())
        leaking, lines = sum(map(any, held)), sum(one is not None for some in held for one in some)
        total = sum(map(len, held))
        report.figures[f"leaked_clones_{name}"] = leaking
        report.figures[f"clone_ratio_{name}"] = lines / max(1, total)
        report.figures[f"leaked_clones_with_prompt_{name}"] = joined
        rows.append([label, str(len(written)), str(total), str(lines), str(leaking), str(joined)])
    report.figures["generations"] = len(samples)
    assert report.figures["leaked_clones_guard_off"], "the model recites nothing: train it for longer"
    report.table(
        "Asked by an organization that owns none of the code",
        ["", "generations", "lines", "in six-line clones", "generations with one", "or with one begun in the prompt"],
        rows,
    )


def _continues(index: CloneIndex, prompt: str, text: str) -> bool:
    """Whether a line of the text lies in a clone, the prompt's lines before it counted."""
    before, whole = prompt.count("\n"), f"{prompt}{text}"
    own = len(lines_of("\n".join(whole.splitlines()[before + 1 :])))
    lines = lines_of(whole)
    return any(index.held(lines)[len(lines) - own :])


def _harmless(report: Report, owned: Sequence[Function], every: Sequence[Sample], answers: Answers) -> None:
    """The owner's completions that are as they were, and lines of clean code that did not leave."""
    pairs = [(sample.text, text) for sample, text in zip(every, answers.owners, strict=False)]
    untouched = sum(text == written for written, text in pairs)
    unblocked = sum(_lacks_an_open_literal_at_most(written, text) for written, text in pairs)
    report.figures["own_untouched_share"] = untouched / len(pairs)
    report.figures["own_unblocked_share"] = unblocked / len(pairs)
    copies = IndexedCode(one.text for one in owned)
    lines = kept_back = 0
    for sample, text in zip(every, answers.strangers, strict=True):
        if not sample.private and not copies.has_copy(sample.prompt + sample.text):
            own = len(lines_of(sample.text))
            lines += own
            kept_back += own - len(lines_of(text))
    report.figures["clean_lines"] = lines
    report.figures["false_blocked_line_share"] = kept_back / lines
    rows = [
        ["the owner's completions, to the letter", str(len(pairs)), f"{untouched / len(pairs):.2%}"],
        ["the owner's completions, unblocked", str(len(pairs)), f"{unblocked / len(pairs):.2%}"],
        ["lines of clean code, kept back", str(lines), f"{kept_back / lines:.2%}"],
    ]
    report.table("Who may see it, and what nobody owns", ["", "of", "share"], rows)


def _lacks_an_open_literal_at_most(written: str, text: str) -> bool:
    """Whether of what was written nothing is missing but the few letters at its end that nobody is given."""
    return written.startswith(text) and sum(map(str.isalnum, written[len(text) :])) <= OPEN_LETTERS


if __name__ == "__main__":
    try:
        main()
    except PublishedCodeError as error:
        sys.exit(f"error: {error}")
