"""How fast does each engine answer a keystroke on this machine? Runs those that are installed, one after the other.

Knows nothing of the guard. A run takes about half a minute an engine (the first of `transformers` unpacks the model).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path
from rich.console import Console
from rich.table import Table

from service.engines.protocol import EnginePrompt, Sampling
from service.engines.registry import create_engine
from service.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.engines.protocol import Engine

PROMPT_TOKENS = 400
COMPLETION_TOKENS = 64
# Characters a prompt has where an engine cannot count: code has about three and a half a token.
UNCOUNTED_CHARACTERS = 1400
KEYSTROKES = 3
LOADS = 3
MODULES = {"llamacpp": "xllamacpp", "transformers": "torch"}
DEFAULT = "llamacpp"
# Name, figure, limit, and whether the figure must reach the limit or stay below it.
BARS = (
    ("cold completion, s", "total", 2.5, False),
    ("tokens/s", "speed", 60.0, True),
    ("first token, cached, s", "keystroke", 0.2, False),
    ("load, s", "load", 2.0, False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One completion of a cold prompt and the one after the next keystrokes; times in seconds."""

    first: float
    total: float
    speed: float
    keystroke: float


@dataclass(frozen=True, slots=True)
class Report:
    """What an engine showed: seconds of each load, and its runs."""

    name: str
    loads: tuple[float, ...]
    runs: tuple[Run, ...]

    def values(self, figure: str) -> list[float]:
        """All that was measured of a figure."""
        return list(self.loads) if figure == "load" else [getattr(run, figure) for run in self.runs]

    def median(self, figure: str) -> float:
        """What to expect."""
        return statistics.median(self.values(figure))

    def best(self, figure: str) -> float:
        """What the engine can do when nothing else wants the machine."""
        return max(self.values(figure)) if figure == "speed" else min(self.values(figure))


def sources() -> Iterator[str]:
    """Texts of the standard library, each a few pages of real code."""
    folder = Path(json.__file__).parent.parent
    for name in ("argparse.py", "tarfile.py", "ast.py", "shutil.py", "zipfile.py", "socket.py", "csv.py", "queue.py"):
        path = folder / name
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            # Not the licence and imports at the top, which all files share.
            yield text[len(text) // 3 :]


async def cold_prompt(engine: Engine, source: str) -> str:
    """The beginning of `source` that has PROMPT_TOKENS tokens, less at most one."""
    if await engine.count_tokens(source[:1]) is None:
        return source[:UNCOUNTED_CHARACTERS]
    low, high = 0, min(len(source), 8 * PROMPT_TOKENS)
    while high - low > 1:
        middle = (low + high) // 2
        if (await engine.count_tokens(source[:middle]) or 0) <= PROMPT_TOKENS:
            low = middle
        else:
            high = middle
    return source[:low]


async def timed(engine: Engine, prompt: EnginePrompt, max_tokens: int) -> tuple[float, float, int]:
    """Seconds to the first text and to the end, and the tokens that were drawn."""
    began = time.perf_counter()
    first, tokens = None, 0
    async for chunk in engine.generate(prompt, Sampling(max_tokens=max_tokens)):
        tokens += chunk.tokens
        if chunk.text and first is None:
            first = time.perf_counter() - began
    total = time.perf_counter() - began
    return first if first is not None else total, total, tokens


async def measure(name: str, engine: Engine, repeats: int) -> Report:
    """Load three times, warm up, then `repeats` runs over different prompts. A text that ends early is not counted."""
    loads = []
    for _ in range(LOADS):
        await engine.close()
        began = time.perf_counter()
        await engine.start()
        loads.append(time.perf_counter() - began)
    runs = []
    try:
        await timed(engine, EnginePrompt.plain("import os\n", cache_key="warm-up"), 4)
        texts = list(sources())
        for number in range(3 * repeats):
            source = texts[number % len(texts)][2000 * (number // len(texts)) :]
            text = await cold_prompt(engine, source)
            key = f"run-{number}"
            first, total, tokens = await timed(engine, EnginePrompt.plain(text, cache_key=key), COMPLETION_TOKENS)
            if tokens < COMPLETION_TOKENS:
                continue
            longer = EnginePrompt.plain(source[: len(text) + KEYSTROKES], cache_key=key)
            keystroke, _, _ = await timed(engine, longer, 1)
            runs.append(Run(first, total, (tokens - 1) / (total - first), keystroke))
            if len(runs) == repeats:
                break
    finally:
        await engine.close()
    return Report(name, tuple(loads), tuple(runs))


@contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` processes that want a core all the time, for as long as the context lasts and ten minutes at most."""
    program = "import time\nend = time.time() + 600\nwhile time.time() < end: pass"
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def show(console: Console, reports: list[Report], repeats: int, rivals: int) -> None:
    """A table for people."""
    beside = f", beside {rivals} busy processes" if rivals else ""
    table = Table(
        title=f"{COMPLETION_TOKENS} tokens after {PROMPT_TOKENS}: median (best) of {repeats}{beside}; seconds"
    )
    for heading in ("engine", "load", "first token, cold", "64 tokens, cold", "tokens/s", "keystroke"):
        table.add_column(heading, justify="left" if heading == "engine" else "right", no_wrap=heading == "engine")
    for report in reports:
        cells = [
            f"{report.median(figure):.{digits}f} ({report.best(figure):.{digits}f})"
            for figure, digits in (("load", 2), ("first", 2), ("total", 2), ("speed", 0), ("keystroke", 3))
        ]
        table.add_row(report.name, *cells)
    console.print(table)


def summary(reports: list[Report]) -> dict[str, object]:
    """The JSON line. Bars are held to the medians."""
    figures = {"load": "load", "first": "first_token_cold", "total": "completion_cold", "speed": "tokens_per_second"}
    figures["keystroke"] = "first_token_cached"
    return {
        "benchmark": "engines",
        "figures": {
            f"{report.name}_{title}_{kind}": round(getattr(report, kind)(figure), 4)
            for report in reports
            for figure, title in figures.items()
            for kind in ("median", "best")
        },
        "bars": [
            {
                "name": f"{DEFAULT}: {title}",
                "value": round(report.median(figure), 4),
                "limit": limit,
                "holds": report.median(figure) >= limit if reach else report.median(figure) <= limit,
            }
            for report in reports
            if report.name == DEFAULT
            for title, figure, limit, reach in BARS
        ],
    }


def main() -> None:
    """Measure the engines that are named, or else those that are installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", help="comma-separated; unset: all that are installed")
    parser.add_argument("--openai-url", help="base URL of an OpenAI-compatible server to measure as well")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, help="unset: one a physical core")
    parser.add_argument("--busy", type=int, default=0, help="processes that want a core meanwhile")
    options = parser.parse_args()
    installed = [name for name, module in MODULES.items() if find_spec(module) is not None]
    names = options.engines.split(",") if options.engines else installed
    names += ["openai"] * bool(options.openai_url and "openai" not in names)
    console = Console()
    reports = []
    home = user_cache_path("cleanroom-benchmarks")
    with busy(options.busy):
        for name in names:
            try:
                engine = create_engine(name, None, home=home, base_url=options.openai_url, threads=options.threads)
                reports.append(asyncio.run(measure(name, engine, options.repeats)))
            except ServiceError as error:
                console.print(f"{name}: {error}")
    show(console, reports, options.repeats, options.busy)
    print(json.dumps(summary(reports)))


if __name__ == "__main__":
    main()
