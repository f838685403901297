"""The commands of training. Knows what people type, and nothing of how a corpus is built."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from guard.errors import GuardError
from training.backgrounds import PYTHON_TREE_BYTES, TREE_BYTES, BackgroundManifest, BackgroundPlan, build_background
from training.cli_sketches import add_to, held_elsewhere
from training.corpora import SEED_LIMIT, CorpusPlan, LicenseChoice, build
from training.errors import PlanError, TrainingError
from training.examples import Kind
from training.public_code import LANGUAGES, fetch, pinned

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.log import At
    from training.manifest import Manifest

app = typer.Typer()
corpus = typer.Typer(
    help="Corpora: what a model is trained on, built on the machine of its owner.", no_args_is_help=True
)
app.add_typer(corpus, name="corpus")
add_to(corpus)
background = typer.Typer(
    help="Background models: how ordinary a piece of code is, learnt from public code.", no_args_is_help=True
)
app.add_typer(background, name="background")


@corpus.command("build")
def build_(  # noqa: PLR0913, PLR0917 - an option each
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
    held_by: Annotated[
        list[Path] | None,
        typer.Option("--held-by", help="Another organization's sketch: leave out files that it holds. Repeatable."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The key of those sketches (`cleanroom corpus key`).")
    ] = None,
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
            manifest = build(
                plan,
                progress=lambda at: bar.update(task, completed=at.done, total=at.total),
                held_elsewhere=held_elsewhere(held_by or [], key),
            )
    except (TrainingError, GuardError) as error:
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


@background.command("build")
def build_background_(
    language: Annotated[str, typer.Option("--language", help=f"{', '.join(LANGUAGES)} or any other by name.")],
    out: Annotated[Path, typer.Option("--out", help="File to write the model to; its manifest goes to FILE.json.")],
    trees: Annotated[list[Path] | None, typer.Argument(help="Trees of public code to learn from.")] = None,
    download: Annotated[
        Path | None, typer.Option("--download", help="Learn from the listed packages as well, kept in this folder.")
    ] = None,
    tree_bytes: Annotated[
        int | None,
        typer.Option(
            "--tree-bytes",
            min=1,
            help=f"Bytes of one tree that count; by default {TREE_BYTES}, of Python {PYTHON_TREE_BYTES}.",
        ),
    ] = None,
) -> None:
    """Count the n-grams of public code. Public only: the counts of private code would give it away.

    The listed packages are pinned by hash and fetched with pip, npm and Debian's apt-get.
    """
    console = Console(stderr=True)
    try:
        with Bar(console=console, disable=not console.is_terminal) as bar:
            named = (*(trees or ()), *(_listed(language, download, bar) if download else ()))
            learning = bar.add_task("learning", total=None)
            manifest = build_background(
                BackgroundPlan(language, named, tree_bytes),
                out,
                progress=lambda at: bar.update(learning, completed=at.done, total=at.total, description=at.name),
            )
    except TrainingError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    typer.echo(f"{_background(manifest)}\nwritten to {out}")


def _listed(language: str, folder: Path, bar: Bar) -> tuple[Path, ...]:
    task = bar.add_task("packages", total=None)
    return fetch(
        pinned(language),
        folder,
        progress=lambda at: bar.update(task, completed=at.done, total=at.total, description=at.name),
    )


@background.command("show")
def show_background(
    model: Annotated[Path | None, typer.Argument(help="A model; none: the listed packages by language.")] = None,
) -> None:
    """Say what a model was made of and hold that it is the one that was built."""
    try:
        if model is not None:
            typer.echo(_background(BackgroundManifest.beside(model)))
            return
        for language in LANGUAGES:
            typer.echo(f"{language:<12} {len(pinned(language)):>4} packages")
    except TrainingError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


@app.command()
def train(
    plan: Annotated[Path, typer.Argument(help="What to train on whose code, as TOML: docs/training.md.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run; by default runs/NAME beside the plan.")
    ] = None,
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run at its last checkpoint.")
    ] = False,
) -> None:
    """Train a model together, in the regime that the plan names."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    try:
        with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
            tasks: dict[str, Any] = {}

            def report(at: At) -> None:
                if at.stage not in tasks:
                    # An interrupted stage begins where it was: what it had done then tells nothing of its speed.
                    tasks[at.stage] = bar.add_task(at.stage, total=at.total, completed=at.done - 1)
                loss = "" if at.loss is None else f", loss {at.loss:.3f}"
                bar.update(tasks[at.stage], completed=at.done, description=f"{at.stage}{loss}")

            folder = _run(plan, out, resume=resume, report=report)
    except TrainingError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("error: interrupted; go on at the last checkpoint with --resume", err=True)
        sys.exit(130)
    typer.echo(_trained(json.loads((folder / "run.json").read_text(encoding="utf-8")), folder))


def _run(plan: Path, out: Path | None, *, resume: bool, report: Callable[[At], None]) -> Path:
    try:
        # Not above: the other commands do without PyTorch.
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        from training.run import run_plan  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = f"training needs {error.name}: install the extra, pip install 'cleanroom[training]'"
        raise PlanError(message) from error
    # Bars of its own, for every file that is read.
    disable_progress_bar()
    return run_plan(plan, out, resume=resume, report=report)


def _trained(run: dict[str, Any], folder: Path) -> str:
    lines = [f"{'organization':<20} {'tokens':>9} {'held-out loss':>14}"]
    lines += [
        f"{name:<20} {org['tokens']:>9} {run['validation_losses'][name]:>14.4f}" for name, org in run["orgs"].items()
    ]
    lines.append(f"{'together':<20} {'':>9} {run['validation_loss']:>14.4f}")
    for stage in run["stages"]:
        watched = "" if stage["recited"] is None else f", {stage['recited']:.1%} of the sample recited"
        ended = "" if stage["stopped"] is None else f", stopped by {stage['stopped']}"
        lines.append(f"stage {stage['name']}: {stage['steps']} steps{watched}{ended}")
    return "\n".join([*lines, f"written to {folder}"])


def _background(manifest: BackgroundManifest) -> str:
    lines = [
        f"language   {manifest.language}",
        f"version    {manifest.code_version}",
        f"tokens     {manifest.tokens}",
        f"code       {manifest.files} files, {manifest.size} bytes, {len(manifest.trees)} trees",
        f"corpora    {manifest.corpora_sha256}",
    ]
    return "\n".join(lines + [f"left out   {count:>7} {reason}" for reason, count in manifest.left_out.items()])
