"""The commands of training. Knows what people type, and nothing of how a corpus is built."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress as Bar

from training.corpora import SEED_LIMIT, CorpusPlan, LicenseChoice, build
from training.errors import TrainingError
from training.examples import Kind

if TYPE_CHECKING:
    from training.manifest import Manifest

app = typer.Typer()
corpus = typer.Typer(
    help="Corpora: what a model is trained on, built on the machine of its owner.", no_args_is_help=True
)
app.add_typer(corpus, name="corpus")


@corpus.callback()
def _corpus() -> None:
    """Keep `build` a command of its own."""


@corpus.command("build")
def build_(
    paths: Annotated[list[Path], typer.Argument(help="Source trees or files of one organization.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to: empty, or an earlier corpus to replace.")],
    fim_rate: Annotated[
        float, typer.Option("--fim-rate", min=0, max=1, help="Share of the examples cut for fill-in-the-middle.")
    ] = 0.5,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_LIMIT - 1, help="Decides every draw.")] = 0,
    licenses: Annotated[
        LicenseChoice,
        typer.Option(
            "--licenses",
            help="Files to use: any; own, the licence of each tree as a whole; permissive, those and permissive ones.",
        ),
    ] = LicenseChoice.ANY,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with the manifest as JSON on stdout.")] = False,
) -> None:
    """Turn source trees into training examples: copies left out, split by file, cut for fill-in-the-middle.

    Writes train.jsonl, validation.jsonl, test.jsonl and manifest.json. They hold source: keep them where it may be.
    """
    try:
        plan = CorpusPlan(tuple(paths), out, seed, fim_rate, licenses)
        console = Console(stderr=True)
        with Bar(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("files", total=None)
            manifest = build(plan, progress=lambda at: bar.update(task, completed=at.done, total=at.total))
    except TrainingError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    typer.echo(json.dumps(manifest.to_json(), ensure_ascii=False) if as_json else _summary(manifest, out))


def _summary(manifest: Manifest, out: Path) -> str:
    lines = [
        f"{split.value:<10} {count.kinds.total():>7} examples {count.characters:>11} characters, "
        f"{count.kinds[Kind.FILL_IN_THE_MIDDLE]} cut for fill-in-the-middle"
        for split, count in manifest.splits.items()
    ]
    lines += [f"left out   {count:>7} {reason}" for reason, count in sorted(manifest.left_out.items())]
    return "\n".join([*lines, f"written to {out}"])
