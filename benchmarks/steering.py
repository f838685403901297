"""Where a generation would leak, does a usable completion come out all the same?

A small Llama is trained until it recites functions of one organization by heart, beside code that is nobody's secret,
and serves another organization through the whole pipeline: prompts are the beginnings of those functions. Of the
generations that the guard blocks: how many end with other, clean text (steered), with their clean beginning (trimmed),
with nothing (withheld). Needs the extra transformers; the model is trained once and kept in the cache.

    python benchmarks/steering.py [--json] [--cache DIR] [--scale small|full]
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from guarded_service import STRANGER, serving
from memorizing import SIZES, drawn_functions, model_folder, trained
from options import options_of
from report import Report, progress

from service.completion import CompletionRequest
from service.engines.protocol import Sampling
from service.engines.transformers import TransformersEngine
from service.telemetry import configure_logging

if TYPE_CHECKING:
    from clones import Function
    from rich.progress import Progress

LINES_GIVEN = 2
"""Lines of a function that the prompt has."""
TOKENS = 96


def main() -> None:
    """Train, ask, print."""
    options = options_of(__doc__, SIZES, seeded=True)
    configure_logging("error")
    size = SIZES[options.scale]
    report = Report("steering")
    chosen = drawn_functions(options.cache, size, options.seed)
    with progress() as bar:
        folder = trained(model_folder(options.cache, options.scale, options.seed), chosen, size, bar)
        found = asyncio.run(asked(folder, chosen, bar))
    blocked = sum(found.values()) - found["released"] - found["cited"]
    assert blocked, "the model recites nothing: train it for longer"
    report.figures = {
        "prompts": sum(found.values()),
        "blocked": blocked,
        "steered_share": found["steered"] / blocked,
        "something_share": (found["steered"] + found["trimmed"]) / blocked,
    }
    report.at_least("steered_share", 0.60)
    report.at_least("something_share", 0.95)
    rows = [(name, str(found[name])) for name in ("released", "cited", "steered", "trimmed", "withheld")]
    report.table(
        f"{sum(found.values())} prompts: the first {LINES_GIVEN} lines of a function", ("ended", "count"), rows
    )
    report.show(json_only=options.json)


async def asked(model: Path, chosen: list[Function], bar: Progress) -> Counter[str]:
    """How the completion of each function's beginning ended, by the ledger."""
    with tempfile.TemporaryDirectory(prefix="cr-bench-") as folder:
        engine = TransformersEngine(str(model), home=Path(folder))
        async with serving(engine, chosen) as served:
            task = bar.add_task("asking", total=len(chosen))
            for one in chosen:
                prompt = "".join(one.text.splitlines(keepends=True)[:LINES_GIVEN])
                await served.pipeline.complete(CompletionRequest(STRANGER, (prompt,), Sampling(max_tokens=TOKENS)))
                bar.advance(task)
            return Counter(entry.record.disposition for entry in served.ledger.entries(limit=10 * len(chosen)))


if __name__ == "__main__":
    main()
