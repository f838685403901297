"""From a plan file to a run folder: checks first, then the regime, then the record of what was done.

RUN/plan.toml, run.json, model/ or adapter/ or adapters/ORG/, log.jsonl, tensorboard/, and checkpoints/ until it is
finished. Knows no regime in particular.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import transformers

from training.base import device_for, open_base, parameters
from training.data import open_corpora, require_repeated
from training.errors import DestinationError, PlanError
from training.examples import Split
from training.local import loss_of
from training.models import ADAPTER, MODEL, RUN, held_in, save
from training.plan import Compartmentalized, Federated, Method
from training.plan_file import read_plan
from training.privacy import Ledger, record, require_delta
from training.regimes import Trained, Work, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.base import Base
    from training.data import Corpus
    from training.log import At
    from training.plan import Plan

FORMAT = 1
PLAN, BEGUN = "plan.toml", "begun.json"
_BYTES = 4
"""Of a number in float32."""
_MARGIN = 32 * 2**20
"""Bytes for tokenizer, logs and TensorBoard."""


def run_plan(
    plan_file: Path,
    out: Path | None = None,
    *,
    resume: bool = False,
    report: Callable[[At], None] = lambda _: None,
) -> Path:
    """Train what `plan_file` says, and give the run's folder: `out`, or the plan's name in `runs` beside the plan.

    Raises:
        PlanError: the plan cannot be meant, or is not the one that is resumed.
        EmptyCorpusError: an organization has nothing to train on, or nothing to hold out.
        ModelError: the base cannot be trained, or a GPU is asked for that is not there.
        DestinationError: the folder is taken, or the disk has no room for it.
        StoppedError: the training went wrong half-way; `resume` goes on at the last checkpoint.
    """
    plan = read_plan(plan_file)
    folder = plan_file.absolute().parent / "runs" / plan.name if out is None else out
    _require_free(folder, resume=resume)
    corpora = open_corpora(plan.organizations)
    if plan.example_privacy is not None:
        require_delta(plan.example_privacy, {corpus.name: len(corpus.examples(Split.TRAIN)) for corpus in corpora})
    require_repeated(corpora, plan.data)
    device_for(plan.model.device)
    base = open_base(plan.model.base)
    _require_room(folder, plan, base)
    work = Work(plan, base, corpora, folder, resume, report)
    work.accounts()  # Refuses what is over the budget before anything is spent.
    started = _begin(work, plan_file.read_bytes())
    transformers.set_seed(plan.seed)
    trained = train(work)
    _save(work, trained)
    record = _record(work, trained, started)
    (folder / RUN).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return folder


def _require_free(folder: Path, *, resume: bool) -> None:
    if (folder / RUN).is_file():
        message = f"{folder} holds a finished run: name another folder with --out"
        raise DestinationError(message)
    if resume and not (folder / "checkpoints" / BEGUN).is_file():
        message = f"{folder} holds no run to go on with: leave --resume out, or name its folder with --out"
        raise DestinationError(message)
    if not resume and folder.is_dir() and any(folder.iterdir()):
        what = "an interrupted run: go on with --resume" if (folder / PLAN).is_file() else "other files"
        message = f"{folder} holds {what}, or name another folder with --out"
        raise DestinationError(message)


def _require_room(folder: Path, plan: Plan, base: Base) -> None:
    """Refuse a disk that is too small for the checkpoints: weights and AdamW's two moments of all that is trained."""
    total, moving = parameters(base, plan.model)
    copies = len(plan.organizations) if isinstance(plan.regime, Compartmentalized) else 1
    # One more checkpoint than is kept while the next is written; the model; the weights of finished stages.
    stages = max(copies, len(plan.organizations))
    needed = _BYTES * (3 * moving * (plan.checkpoints.keep + 1) + moving * stages)
    # Adapters of several rounds may come to more than one holds, and are then written as a whole model.
    whole = plan.model.method is Method.FULL or isinstance(plan.regime, Federated)
    needed += _BYTES * (total if whole else copies * moving) + _MARGIN
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if free < needed:
        message = (
            f"{there} has {free / 1e9:.1f} GB of free disk and the run needs {needed / 1e9:.1f} GB: free space, lower "
            "checkpoints.keep, or name another folder with --out"
        )
        raise DestinationError(message)


def _begin(work: Work, plan: bytes) -> str:
    """Keep the plan, and what it was begun with; a run that is resumed must have been begun with the same.

    Returns when it was begun.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with_what = {
        "plan": hashlib.sha256(plan).hexdigest(),
        "base": work.base.digest,
        **{f"the corpus of {corpus.name}": corpus.sha256 for corpus in work.corpora},
    }
    path = work.folder / "checkpoints" / BEGUN
    if work.resume:
        begun = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name, digest in begun["with"].items() if with_what.get(name) != digest]
        if changed:
            message = f"{changed[0]} is not what {work.folder} was begun with: put it back, or begin anew with --out"
            raise PlanError(message)
        return str(begun["started"])
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (work.folder / PLAN).write_bytes(plan)
        path.write_text(json.dumps({"started": now, "with": with_what}), encoding="utf-8")
    except OSError as error:
        message = f"{work.folder} cannot be written ({error.strerror}): name another folder with --out"
        raise DestinationError(message) from error
    return now


def _save(work: Work, trained: Trained) -> None:
    if trained.saved:
        return
    folder = work.folder / (ADAPTER if work.plan.model.method is Method.LORA else MODEL)
    trained.model.config.use_cache = True
    model = work.plan.model
    save(trained.model, folder, model.base, model.precision, model.strength)
    work.base.tokenizer.save_pretrained(folder)


def _record(work: Work, trained: Trained, started: str) -> dict[str, Any]:
    """The run in numbers, as run.json keeps it. Losses in nats a token."""
    plan = work.plan
    losses, together = _losses(work, trained.model)
    return {
        "format": FORMAT,
        "name": plan.name,
        "regime": plan.regime.kind,
        "method": plan.model.method.value,
        "holds": held_in(work.folder),
        "base": plan.model.base,
        "base_sha256": work.base.digest,
        "orgs": {corpus.name: _organization(work, corpus) for corpus in work.corpora},
        "passes": plan.passes,
        "stages": [
            {
                "name": stage.name,
                "steps": stage.steps,
                "tokens": stage.tokens,
                "validation_loss": stage.validation_loss,
                "recited": stage.recited,
                "stopped": stage.stopped,
            }
            for stage in trained.stages
        ],
        "validation_loss": together,
        "validation_losses": losses,
        "code_version": f"cleanroom {version('cleanroom')}",
        "seeds": [plan.seed],
        "privacy": _privacy(work, trained),
        "started": started,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "parent": _parent(work.base.folder),
    }


def _privacy(work: Work, trained: Trained) -> dict[str, Any] | None:
    """What the run spent; the ledgers of the stages, which still lie beside their weights, know the steps."""
    if work.plan.privacy is None:
        return None
    if trained.spent:
        return record(work.plan.privacy, work.spent_before(), trained.spent)
    folders = (work.folder / "checkpoints" / stage.name for stage in trained.stages)
    accounts = work.accounts()
    made = [Ledger(folder, account.budget).steps for folder, account in zip(folders, accounts, strict=True)]
    return record(work.plan.privacy, work.spent_before(), list(zip(accounts, made, strict=True)))


def _parent(folder: Path) -> str | None:
    """The name of the run that made the base, where one did."""
    path = folder.parent / RUN
    return str(json.loads(path.read_text(encoding="utf-8"))["name"]) if path.is_file() else None


def _losses(work: Work, model: Any) -> tuple[dict[str, float], float]:  # noqa: ANN401 - a model of transformers
    """The held-out loss of each organization, and of all their tokens together."""
    blocks = {corpus.name: work.held_out([corpus]) for corpus in work.corpora}
    losses = {name: loss_of(model, rows, work.plan.optimizer.batch) for name, rows in blocks.items()}
    counts = {name: rows.predicted for name, rows in blocks.items()}
    return losses, sum(losses[name] * counts[name] for name in losses) / sum(counts.values())


def _organization(work: Work, corpus: Corpus) -> dict[str, Any]:
    blocks = work.training_blocks([corpus])
    return {"corpus_sha256": corpus.sha256, "examples": blocks.examples, "tokens": blocks.tokens}
