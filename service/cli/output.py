"""What commands print: tables and progress for people, JSON for programs, complaints on stderr."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from guard.ingest import Progress as IngestProgress

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on stdout.")]

# A pipe has no width; 80 columns would break ids in two for the program behind it.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def complain(message: str) -> None:
    """Say on stderr what went wrong."""
    err.print("[bold red]error:[/]", end=" ")
    err.print(message, markup=False)


def say(message: str) -> None:
    """Tell people something that is not the answer, on stderr."""
    err.print(message)


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever json takes
    """One JSON value on a line of stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def moment(seconds: int | None) -> str:
    """A moment in seconds since 1970 as people read it; nothing for None."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def print_table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """A table on stdout."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    out.print(table, markup=False)


@contextmanager
def ingest_progress(label: str) -> Iterator[Callable[[IngestProgress], None]]:
    """A progress bar on stderr; nothing where stderr is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files, {task.fields[mb]:.1f} MB"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task(label, total=None, mb=0.0)

        def update(state: IngestProgress) -> None:
            progress.update(task, completed=state.done, total=state.total, mb=state.size / 1e6)

        yield update


@contextmanager
def share_progress(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar on stderr that is told the share that is done, 0 to 1; nothing where stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task(label, total=1.0)

        def update(share: float) -> None:
            progress.update(task, completed=share)

        yield update
