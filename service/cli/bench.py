"""`cleanroom bench serve`: how fast a service answers, beside the engine behind it."""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from service.cli.output import Json, err, out, print_json
from service.errors import SetupError
from service.load import Summary, Target, measure, prompts_of

app = typer.Typer(help="Measure a running service.", no_args_is_help=True)

_ROWS = {
    "first text, p50 ms": "first_p50",
    "first text, p99 ms": "first_p99",
    "between texts, p50 ms": "gap_p50",
    "between texts, p99 ms": "gap_p99",
    "whole, p50 ms": "total_p50",
    "whole, p99 ms": "total_p99",
    "requests/s": "requests_per_second",
    "tokens/s": "tokens_per_second",
    "failed": "failed",
}


@app.callback()
def bench() -> None:
    """Measure a running service."""


@app.command()
def serve(  # noqa: PLR0913, PLR0917 - one option each
    url: Annotated[str, typer.Option("--url", help="The service, with /v1.")] = "http://127.0.0.1:8080/v1",
    key: Annotated[
        str | None, typer.Option("--key", envvar="CLEANROOM_API_KEY", help="A key with the scope complete.")
    ] = None,
    engine_url: Annotated[
        str | None, typer.Option("--engine-url", help="The engine behind it, with /v1, to compare with.")
    ] = None,
    engine_key: Annotated[str | None, typer.Option("--engine-key", help="The engine's key.")] = None,
    streams: Annotated[str, typer.Option("--streams", help="Streams at once, several after commas.")] = "1,8,32",
    requests: Annotated[int, typer.Option("--requests", min=1, help="Requests at each number of streams.")] = 64,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Most tokens of a completion.")] = 64,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="A folder of source code; else the standard library's.")
    ] = None,
    json: Json = False,
) -> None:
    """Time streams of a service and, in turn with them, of the engine behind it.

    A key's quota applies: one with `--requests-per-minute 0` is not held back. Exits with 1 where nothing was answered.
    """
    targets = [Target("cleanroom", url.rstrip("/"), key)]
    if engine_url is not None:
        targets.insert(0, Target("engine", engine_url.rstrip("/"), engine_key))
    counts = _counts(streams)
    texts = prompts_of(prompts, requests)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: dict[int, dict[str, Summary]] = {count: {} for count in counts}
    with Progress(*columns, console=err, transient=True, disable=json) as progress:
        for count in counts:
            for target in targets:
                task = progress.add_task(f"{target.name}, {count} streams", total=len(texts))
                done = partial(progress.advance, task)
                found[count][target.name] = asyncio.run(measure(target, texts, streams=count, tokens=tokens, done=done))
    if json:
        print_json(
            {str(count): {name: _json(summary) for name, summary in some.items()} for count, some in found.items()}
        )
    else:
        for count, some in found.items():
            out.print(_table(count, some))
            for name, summary in some.items():
                if summary.errors:
                    err.print(f"{name} failed with: {', '.join(summary.errors)}", markup=False)
    if any(summary.failed == summary.requests for some in found.values() for summary in some.values()):
        raise typer.Exit(1)


def _json(summary: Summary) -> dict[str, Any]:
    """JSON has no word for what is no number."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in asdict(summary).items()
    }


def _counts(streams: str) -> list[int]:
    try:
        counts = [int(count) for count in streams.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        message = f"--streams {streams!r} is no list of numbers above 0: write it as 1,8,32"
        raise SetupError(message)
    return counts


def _table(count: int, found: dict[str, Summary]) -> Table:
    table = Table(title=f"{count} streams at once", title_justify="left", title_style="bold", header_style="")
    table.add_column("")
    for name in found:
        table.add_column(name, justify="right")
    compared = len(found) > 1
    if compared:
        table.add_column("ratio", justify="right")
    for label, name in _ROWS.items():
        values = [float(getattr(summary, name)) for summary in found.values()]
        ratio = [f"{values[1] / values[0]:.3f}" if values[0] else ""] if compared else []
        table.add_row(label, *(f"{value:.4g}" for value in values), *ratio)
    return table
