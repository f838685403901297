"""Trains one stage of a plan: one model on one set of rows, with checkpoints, notes and an end. Knows no regime.

A stage's folder holds its checkpoints, and once it is finished its weights and what it came to instead.
"""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from training.errors import StoppedError
from training.hooks import Marks, Notes, Validation, last_complete, step_of
from training.local import Fingerprint, arguments_for, loss_of, steps_a_pass, trainer_for
from training.log import At, StageLog
from training.monitor import Monitor
from training.noisy import train_noisily
from training.privacy import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from training.blocks import Blocks
    from training.plan import Plan
    from training.privacy import Spending

WEIGHTS, FINISHED = "weights.safetensors", "finished.json"
_LITTLE_ROOM = 64 * 2**20
"""Bytes of free disk under which a failure to write is put down to the disk."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What to train on. `validation`: code held out, on which the loss is looked at. `name`: of its folder.

    `budget`: of the privacy of the rows, each of which is then one example.
    """

    name: str
    blocks: Blocks
    validation: Blocks
    seed: int
    budget: Spending | None = None


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage came to. `stopped`: "validation loss" or "memorization" where that ended it before its passes did.

    `validation_loss` in nats a token; `recited`: the share last recited, None where nobody watched.
    """

    name: str
    examples: int
    tokens: int
    steps: int
    validation_loss: float
    recited: float | None
    stopped: str | None


def train_stage(
    model: Any,  # noqa: ANN401 - a model of transformers or peft
    stage: Stage,
    plan: Plan,
    run: Path,
    *,
    resume: bool,
    report: Callable[[At], None] = lambda _: None,
) -> StageResult:
    """Train `model` in place by `plan`; the run's folder takes checkpoints and notes.

    With `resume` a finished stage only gives its weights back, and one that was interrupted goes on at its last
    complete checkpoint, with the weights, the optimizer and the order of the rows as they were.

    Raises:
        StoppedError: the weights did not move or are not finite, or the disk is full.
        PlanError: nothing can be monitored.
    """
    folder = run / "checkpoints" / stage.name
    if resume and (folder / FINISHED).is_file():
        put_weights(model, folder / WEIGHTS)
        return StageResult(**json.loads((folder / FINISHED).read_text(encoding="utf-8")))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = last_complete(folder) if resume else None
    log = StageLog(run, stage.name, 0 if checkpoint is None else step_of(checkpoint))
    try:
        result = _trained(model, stage, plan, folder, checkpoint, log, report)
        _finish(model, result, folder)
    except (OSError, RuntimeError, SafetensorError) as error:
        if isinstance(error, OSError) or shutil.disk_usage(folder).free < _LITTLE_ROOM:
            message = f"{folder} cannot be written ({error}): free space and go on with --resume"
            raise StoppedError(message) from error
        raise
    finally:
        log.close()
    return result


def _trained(  # noqa: PLR0917 - as above
    model: Any,  # noqa: ANN401 - as above
    stage: Stage,
    plan: Plan,
    folder: Path,
    checkpoint: Path | None,
    log: StageLog,
    report: Callable[[At], None],
) -> StageResult:
    settings, before = plan.optimizer, Fingerprint(model)
    arguments = arguments_for(
        model, settings, stage.blocks, folder, passes=plan.passes, seed=stage.seed,
        save_strategy="steps", save_steps=plan.checkpoints.every, save_total_limit=plan.checkpoints.keep,
        logging_steps=max(1, min(10, plan.checkpoints.every)),
    )  # fmt: skip
    every = max(1, math.ceil(steps_a_pass(stage.blocks, settings) / plan.budget.checks))
    validation = Validation(stage.validation, settings.batch, every, plan.budget.validation_loss, log)
    monitor = None if plan.monitor is None else Monitor(plan.monitor, stage.blocks, log, plan.seed)
    hooks = [validation, *([] if monitor is None else [monitor]), Notes(log, stage.name, report), Marks()]
    if stage.budget is None or plan.privacy is None:
        trainer = trainer_for(model, arguments, stage.blocks, hooks=hooks)
        steps = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint)).global_step
    else:
        ledger = Ledger(folder, stage.budget)
        steps = train_noisily(
            model, arguments, stage.blocks, checkpoint, ledger=ledger, clip=plan.privacy.clip, hooks=hooks
        )
    before.require_moved(model)
    at, loss = validation.last or (0, math.inf)
    if at != steps:
        loss = loss_of(model, stage.validation, settings.batch)
    reasons = (("memorization", monitor is not None and monitor.stopped), ("validation loss", validation.stopped))
    return StageResult(
        stage.name,
        stage.blocks.examples,
        stage.blocks.tokens,
        steps,
        loss,
        None if monitor is None else monitor.share,
        next((reason for reason, holds in reasons if holds), None),
    )


def _finish(model: Any, result: StageResult, folder: Path) -> None:  # noqa: ANN401 - as above
    """Keep the weights and the result; the checkpoints are not needed any more."""
    save_file(_weights(model), folder / WEIGHTS)
    draft = folder / f".{FINISHED}"
    draft.write_text(json.dumps(asdict(result)), encoding="utf-8")
    draft.replace(folder / FINISHED)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def _weights(model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401 - as above
    return {name: one.detach().cpu().contiguous() for name, one in model.named_parameters() if one.requires_grad}


def put_weights(model: Any, path: Path) -> None:  # noqa: ANN401 - as above
    """Give the model's trained parameters the values in a file."""
    values = load_file(path)
    for name, one in model.named_parameters():
        if one.requires_grad:
            one.data.copy_(values[name])
