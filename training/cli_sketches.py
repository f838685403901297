"""The commands `cleanroom corpus key|sketch|overlap`. Knows what people type, and nothing of how sketches are made."""

from __future__ import annotations

import json
import secrets
import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from guard.errors import GuardError
from guard.secret import KEY_BYTES, IndexKey, read_index_key, write_index_key
from training.corpus_files import open_corpora
from training.errors import PlanError, TrainingError
from training.held_elsewhere import HeldElsewhere
from training.sketches import open_sketches, overlaps, read_sketch, save, sketched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training.sketches import Overlap, Shared


def add_to(corpus: typer.Typer) -> None:
    """Add the commands to `cleanroom corpus`."""
    corpus.command("key")(key_)
    corpus.command("sketch")(sketch_)
    corpus.command("overlap")(overlap_)


def key_(path: Annotated[Path, typer.Argument(help="File to write; only you may read it.")]) -> None:
    """Make the key under which the organizations of a consortium sketch their corpora; give it to each, in secret."""
    with _failing():
        if path.exists():
            message = f"{path} is there already: name another file, or use this key"
            raise PlanError(message)
        write_index_key(path, IndexKey(secrets.token_bytes(KEY_BYTES)))
    typer.echo(f"written to {path}")


def sketch_(
    corpus: Annotated[Path, typer.Argument(help="A corpus that `cleanroom corpus build` wrote.")],
    key: Annotated[Path, typer.Option("--key", help="The consortium's key, from `cleanroom corpus key`.")],
    out: Annotated[Path, typer.Option("--out", help="File to write the sketch to.")],
) -> None:
    """Sketch a corpus for `overlap`: keyed MinHash values and counts; no code, no path."""
    with _failing():
        secret = _secret(key)
        (one,) = open_corpora([f"one={corpus}"])
        sketch = sketched(one, secret)
        save(sketch, out)
    typer.echo(f"{sketch.functions} functions, {sketch.runs} different runs of six lines\nwritten to {out}")


def held_elsewhere(sketches: Sequence[Path], key: Path | None) -> HeldElsewhere | None:
    """What says of a file that one of these organizations holds it; None without sketches.

    Raises PlanError and GuardError for sketches and a key that cannot be read, or do not belong together.
    """
    if (key is None) != (not sketches):
        message = "--held-by and --key go together: a sketch tells nothing without the key that it was made under"
        raise PlanError(message)
    return None if key is None else HeldElsewhere([read_sketch(str(path)) for path in sketches], _secret(key))


def _secret(path: Path) -> IndexKey:
    key = read_index_key(path)
    if key is None:
        message = f"{path} is not there: `cleanroom corpus key` makes one for all members"
        raise PlanError(message)
    return key


def overlap_(
    sketches: Annotated[list[str], typer.Argument(help="ORG=SKETCH, for each organization.", metavar="ORG=SKETCH...")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON on stdout.")] = False,
) -> None:
    """Say how much of each organization's code each other one holds, from sketches alone."""
    with _failing():
        opened = open_sketches(sketches)
        found = []
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("pairs", total=len(opened) * (len(opened) - 1))
            for one in overlaps(opened):
                found.append(one)
                bar.advance(task)
    if as_json:
        counts = {name: {"functions": one.functions, "runs_of_six_lines": one.runs} for name, one in opened.items()}
        typer.echo(json.dumps({"organizations": counts, "pairs": [one.to_json() for one in found]}))
    else:
        typer.echo(_table(found))


def _table(found: Sequence[Overlap]) -> str:
    width = max(len("of"), *(len(one.organization) for one in found))
    held = max(len("held by"), *(len(one.holder) for one in found))
    lines = [f"{'of':<{width}}  {'held by':<{held}}  {'functions':>16}  {'runs of six lines':>17}  (95 % limits)"]
    lines += [
        f"{one.organization:<{width}}  {one.holder:<{held}}  {_told(one.functions):>16}  {_told(one.runs):>17}"
        f"{_limits(one.runs)}"
        for one in found
    ]
    return "\n".join(lines)


def _told(part: Shared | None) -> str:
    return "-" if part is None else f"{part.count} ({100 * part.share:.1f} %)"


def _limits(part: Shared | None) -> str:
    return "" if part is None or part.low == part.high else f"  ({100 * part.low:.1f} to {100 * part.high:.1f} %)"


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (TrainingError, GuardError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
