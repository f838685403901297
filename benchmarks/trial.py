"""One training of the reproduction and what is measured of it: a run folder, its measurements, its result.

A trial that has its result is never made again; one that was interrupted goes on at its last checkpoint, and measuring
where its journals end. Knows no table.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import tomllib
from concurrent.futures import as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from training.corpus_files import OrganizationCorpus
    from training.memorization.measuring import Subject

RESULT = "result.json"
BLOCK = 256
"""Tokens of held-out code that are judged together."""


@dataclass(frozen=True, slots=True)
class Measuring:
    """How much is measured: samples of `tokens` tokens in all; the rest of each organization."""

    samples: int
    tokens: int
    places: int
    files: int
    completions: int
    guard: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan as TOML, the folder of its run, the corpora by organization, and how it is measured."""

    folder: Path
    plan: str
    corpora: Mapping[str, Path]
    measuring: Measuring
    seed: int
    threads: int = 1


def all_made(pool: Executor, trials: Sequence[Trial], tick: Callable[[], object]) -> None:
    """Make trials in the processes of a pool, and `tick` behind each. One that fails ends all. Raises as `made`."""
    waiting = [pool.submit(made, trial) for trial in trials]
    try:
        for done in as_completed(waiting):
            done.result()
            tick()
    except BaseException:
        # A process that is interrupted would go on with the next of them.
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def interruptible(main: Callable[[], None]) -> None:
    """Run a benchmark; where it is interrupted, say how it goes on."""
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where this one ended", file=sys.stderr)
        sys.exit(130)


def made(trial: Trial) -> Path:
    """Train and measure, unless that was done; the result's path. Raises TrainingError, and GuardError."""
    result = trial.folder / RESULT
    if result.is_file():
        return result
    import torch  # noqa: PLC0415 - of an extra
    import transformers  # noqa: PLC0415

    transformers.utils.logging.disable_progress_bar()
    # Flower tells every round; progress is told in trials.
    logging.getLogger("flwr").setLevel(logging.WARNING)
    torch.set_num_threads(trial.threads)
    began = time.process_time()
    _trained(trial)
    trained = time.process_time() - began
    told = _measured(trial)
    told |= {
        "training_seconds": round(trained, 1),
        "measuring_seconds": round(time.process_time() - began - trained, 1),
    }
    draft = result.with_name(f".{RESULT}")
    draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    draft.replace(result)
    return result


def _trained(trial: Trial) -> None:
    from training.run import run_plan  # noqa: PLC0415 - torch takes seconds

    if (trial.folder / "run.json").is_file():
        return
    plan = trial.folder.with_name(f"{trial.folder.name}.toml")
    plan.parent.mkdir(parents=True, exist_ok=True)
    plan.write_text(trial.plan, encoding="utf-8")
    run_plan(plan, trial.folder, resume=(trial.folder / "checkpoints" / "begun.json").is_file())


def _measured(trial: Trial) -> dict[str, Any]:
    """The run's record and all measures."""
    from training.corpus_files import open_corpora  # noqa: PLC0415
    from training.evaluation import EvaluationPlan, evaluate  # noqa: PLC0415
    from training.measured_model import open_subject  # noqa: PLC0415
    from training.memorization.measuring import MeasuringPlan, measure  # noqa: PLC0415
    from training.memorization.sampling import SamplingPlan  # noqa: PLC0415

    how, out = trial.measuring, trial.folder / "measurement"
    corpora = open_corpora([f"{name}={path}" for name, path in trial.corpora.items()])
    subject = open_subject(str(trial.folder), None, "float32")
    sampling = SamplingPlan(how.samples, tokens=how.tokens, seed=trial.seed)
    plan = MeasuringPlan(sampling, how.places, how.files, guard=how.guard)
    answers = {
        "measurement": measure(subject, corpora, plan, out).to_json(),
        "evaluation": evaluate(
            subject, corpora, EvaluationPlan(how.files, how.completions, seed=trial.seed), out
        ).to_json(),
    }
    for name, answer in answers.items():
        (out / f"{name}.json").write_text(json.dumps(answer), encoding="utf-8")
    measures = answers["measurement"]["measures"] | answers["evaluation"]["measures"]
    by_org = {
        name: answers["measurement"]["by_org"][name] | answers["evaluation"]["by_org"].get(name, {})
        for name in trial.corpora
    }
    run = json.loads((trial.folder / "run.json").read_text(encoding="utf-8"))
    return {
        "run": run,
        "passes": _passes(run, tomllib.loads(trial.plan)),
        "measures": measures
        | {"training_loss": _training_loss(subject, corpora, out), "next_token_accuracy": _accuracy(trial, corpora)},
        "by_org": by_org,
        "by_class": answers["measurement"]["by_class"],
        "asked_for": _asked_for(corpora, out),
    }


def _passes(run: Mapping[str, Any], plan: Mapping[str, Any]) -> float:
    """Passes over each organization's code that were made, which a loss that is aimed at may cut short."""
    stages = run["stages"]
    if run["regime"] == "federated":
        return float(stages[0]["steps"] * plan["regime"]["local_passes"])
    row = plan["optimizer"]["batch"] * plan["optimizer"]["block"]
    return sum(stage["steps"] * row / stage["tokens"] for stage in stages) / len(stages)


def _training_loss(subject: Subject, corpora: Sequence[OrganizationCorpus], out: Path) -> dict[str, Any]:
    """The loss on what was trained on, as the held-out loss is taken."""
    from training.evaluation import held_out_loss  # noqa: PLC0415
    from training.examples import Split  # noqa: PLC0415
    from training.memorization.journal import Journal  # noqa: PLC0415
    from training.memorization.measurement import Measurement  # noqa: PLC0415

    measurement = Measurement(subject.name, subject.sha256, "float32")
    files = [file for corpus in corpora for file in corpus.files(Split.TRAIN)]
    held_out_loss(measurement, subject.reciter, files, Journal(out / "training-loss.jsonl", {"sha": subject.sha256}))
    return measurement.measures.rows["held_out_loss"]


def _accuracy(trial: Trial, corpora: Sequence[OrganizationCorpus]) -> dict[str, Any]:
    """Share of the tokens of test files that the model finds the likeliest; files are drawn for the limits."""
    import torch  # noqa: PLC0415

    from training.blocks import Vocabulary, blocks_of  # noqa: PLC0415
    from training.examples import Split  # noqa: PLC0415
    from training.local import UNCACHED  # noqa: PLC0415
    from training.memorization.intervals import share_by_file  # noqa: PLC0415
    from training.models import open_model  # noqa: PLC0415

    model, tokenizer = open_model(trial.folder)
    parts = []
    for example in (example for corpus in corpora for example in corpus.examples(Split.TEST)):
        rows = blocks_of([example], Vocabulary(tokenizer), BLOCK)
        with torch.inference_mode():
            logits = model(input_ids=rows.input_ids, position_ids=rows.position_ids, **UNCACHED).logits[:, :-1]
        right = logits.argmax(-1) == rows.labels[:, 1:]
        parts.append((float(right.sum()), float(rows.predicted)))
    estimate = share_by_file(parts)
    assert estimate is not None, "nothing to test on: draw more"
    return estimate.to_json()


def _asked_for(corpora: Sequence[OrganizationCorpus], out: Path) -> dict[str, dict[str, Any]]:
    """By organization: of the lines generated after beginnings of its files, the share in clones of its code."""
    from training.examples import Split  # noqa: PLC0415
    from training.memorization.clones import CloneIndex, lines_of  # noqa: PLC0415
    from training.memorization.intervals import share_by_file  # noqa: PLC0415
    from training.memorization.sampling import Generation  # noqa: PLC0415

    index = CloneIndex()
    for corpus in corpora:
        for file in corpus.files(Split.TRAIN):
            index.add(corpus.organization, file.path, file.text)
    parts: dict[str, list[tuple[float, float]]] = {corpus.organization: [] for corpus in corpora}
    lines = (out / "generations.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    for one in (Generation(**json.loads(line)) for line in lines):
        held = index.held(lines_of(one.whole_lines))
        own = sum(line is not None and one.organization in line.organizations for line in held)
        parts[one.organization].append((own, len(held)))
    estimates = {name: share_by_file(some) for name, some in parts.items()}
    return {name: estimate.to_json() for name, estimate in estimates.items() if estimate is not None}
