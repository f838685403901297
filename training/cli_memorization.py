"""The commands `cleanroom memorization ...` and `cleanroom evaluate`. Knows what people type, and measures nothing."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from guard.errors import GuardError
from training.corpora import SEED_LIMIT
from training.corpus_files import open_corpora
from training.errors import DestinationError, TrainingError
from training.memorization.measurement import weights_folder
from training.report_tables import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from training.memorization.measurement import Measurement
    from training.memorization.measuring import Subject

app = typer.Typer()
memorization = typer.Typer(
    help="Memorization: how much of its training data a model recites, and to whom it belongs.", no_args_is_help=True
)
app.add_typer(memorization, name="memorization")

Model = Annotated[str, typer.Argument(help="A run folder, a checkpoint, an adapter, 'packaged' or a name on the hub.")]
Corpora = Annotated[
    list[str],
    typer.Option("--corpus", help="ORG=FOLDER: an organization's corpus. Once for each.", metavar="ORG=FOLDER"),
]
Base = Annotated[str | None, typer.Option("--base", help="The model under an adapter, if not the one it names.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for what is found; an interrupted run goes on there. It may hold source."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=SEED_LIMIT - 1, help="Decides every draw.")]
Dtype = Annotated[str, typer.Option("--dtype", help="Precision to measure at, the one served: float32, bfloat16 ...")]
Device = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with the measurement as JSON on stdout.")]
RESULT = {"measure": "measurement.json", "evaluate": "evaluation.json"}


@memorization.command("measure")
def measure_(  # noqa: PLR0913, PLR0917 - an option each
    model: Model,
    corpus: Corpora,
    base: Base = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Generations in all.")] = 1000,
    tokens: Annotated[int, typer.Option("--tokens", min=16, help="Tokens of a generation.")] = 128,
    temperature: Annotated[float, typer.Option("--temperature", min=0.01, help="Of sampling.")] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="Tokens to draw from; 0: all.")] = 40,
    top_p: Annotated[float, typer.Option("--top-p", min=0.01, max=1, help="Probability to draw from.")] = 1.0,
    places: Annotated[int, typer.Option("--places", min=1, help="Places an organization, for extraction.")] = 500,
    files: Annotated[
        int, typer.Option("--files", min=1, help="Files an organization and split, for membership.")
    ] = 500,
    seed: Seed = 0,
    out: Out = None,
    dtype: Dtype = "float32",
    device: Device = "cpu",
    *,
    guard: Annotated[bool, typer.Option("--guard/--no-guard", help="Measure the guard's matches as well.")] = True,
    as_json: AsJson = False,
) -> None:
    """Measure how much of its training data a model recites: docs/memorization.md says what each measure means."""
    with _failing():
        corpora = open_corpora(corpus)
        from training.memorization.measuring import MeasuringPlan, measure  # noqa: PLC0415 - torch takes seconds
        from training.memorization.reciting import Scheme  # noqa: PLC0415
        from training.memorization.sampling import SamplingPlan  # noqa: PLC0415

        sampling = SamplingPlan(samples, tokens=tokens, scheme=Scheme(temperature, top_k, top_p), seed=seed)
        plan = MeasuringPlan(sampling, places, files, guard=guard)
        with _folder(model, out) as folder, _bars() as bars:
            subject = _opened(model, base, dtype, device)
            _answer(measure(subject, corpora, plan, folder, bars), out, RESULT["measure"], as_json=as_json)


@memorization.command("plant")
def plant_(
    corpus: Annotated[Path, typer.Argument(help="A corpus that `cleanroom corpus build` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the corpus with canaries; must not exist.")],
    canaries: Annotated[int, typer.Option("--canaries", min=2, help="Canaries drawn; a coin plants each.")] = 64,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Places in which a planted one stands.")] = 1,
    seed: Seed = 0,
) -> None:
    """Copy a corpus with made-up secrets in its training files, to train on and to measure exposure by.

    The list of them, those that a coin left out included, stands in canaries.json of the new corpus.
    """
    from training.memorization.planting import plant_corpus  # noqa: PLC0415

    with _failing():
        drawn = plant_corpus(corpus, out, canaries, repeats, seed)
    planted = sum(one.planted for one in drawn)
    typer.echo(f"{planted} of {len(drawn)} canaries planted, {repeats} times each\nwritten to {out}")


@memorization.command("report")
def report_(
    measurements: Annotated[
        list[Path], typer.Argument(help="Answers of measure and evaluate, as JSON or run folders.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for report.md and report.html.")],
    title: Annotated[str, typer.Option("--title", help="Heading of the report.")] = "Effectiveness and memorization",
) -> None:
    """Set several measured models side by side: tables with intervals, and plots of effectiveness by memorization."""
    with _failing():
        from training.report import read_models, write_report  # noqa: PLC0415 - matplotlib takes a second

        for path in write_report(read_models(measurements), out, title):
            typer.echo(f"written to {path}")


@app.command("evaluate")
def evaluate_(  # noqa: PLR0913, PLR0917 - an option each
    model: Model,
    corpus: Corpora,
    base: Base = None,
    files: Annotated[int, typer.Option("--files", min=1, help="Test files an organization.")] = 200,
    completions: Annotated[int, typer.Option("--completions", min=1, help="Completions an organization.")] = 200,
    infilling: Annotated[
        Path | None, typer.Option("--infilling", help="A file HumanEval-*Infilling.jsonl.gz of OpenAI's repository.")
    ] = None,
    problems: Annotated[int, typer.Option("--problems", min=1, help="Problems of that file.")] = 200,
    seed: Seed = 0,
    out: Out = None,
    dtype: Dtype = "float32",
    device: Device = "cpu",
    *,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on test files: loss, exact match and edit similarity. Generated code is never run."""
    with _failing():
        corpora = open_corpora(corpus)
        from training.evaluation import EvaluationPlan, evaluate  # noqa: PLC0415 - torch takes seconds

        plan = EvaluationPlan(files, completions, infilling, problems, seed)
        with _folder(model, out) as folder, _bars() as bars:
            subject = _opened(model, base, dtype, device)
            _answer(evaluate(subject, corpora, plan, folder, bars), out, RESULT["evaluate"], as_json=as_json)


def _opened(model: str, base: str | None, dtype: str, device: str) -> Subject:
    from training.measured_model import open_subject  # noqa: PLC0415 - torch takes seconds

    return open_subject(model, base, dtype, device)


@contextmanager
def _failing() -> Iterator[None]:
    """Errors of training and of the guard as a message and exit code 1; a missing extra as what to install."""
    try:
        yield
    except (TrainingError, GuardError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        typer.echo(f"error: {error.name} is not installed: run pip install 'cleanroom[training]'", err=True)
        sys.exit(1)


@contextmanager
def _folder(model: str, out: Path | None) -> Iterator[Path]:
    """The folder for journals: the named one, or one that is gone afterwards."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="cleanroom-measure-") as folder:
            yield Path(folder)
        return
    # Further files there would make it another model.
    if out.resolve() == weights_folder(Path(model).expanduser()).resolve():
        message = f"{out} holds the model's weights: name another folder with --out"
        raise DestinationError(message)
    yield out


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def told(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield told


def _answer(measurement: Measurement, out: Path | None, name: str, *, as_json: bool) -> None:
    text = json.dumps(measurement.to_json(), ensure_ascii=False, allow_nan=False, indent=1)
    if out is not None:
        try:
            (out / name).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            message = f"{out / name} cannot be written ({error.strerror}): free space, or name another folder"
            raise DestinationError(message) from error
    typer.echo(text if as_json else summary(measurement.to_json()))
