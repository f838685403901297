"""Trains one model on one set of rows: what a node of a federation does in a round. Knows no organization and no plan.

transformers' Trainer does the work; here stand its settings, FedProx' term and the proof that something was learnt.
Checkpoints, logs and stages are `training.stages`'.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from training.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.blocks import Blocks
    from training.plan import OptimizerPlan


UNCACHED = {"use_cache": False}
"""Given with every row: with a cache, transformers does not tell files in a row apart."""


@dataclass(frozen=True, slots=True)
class LocalResult:
    """What a training comes to. `loss`: mean over the steps, in nats a token."""

    examples: int
    tokens: int
    steps: int
    loss: float


def train_locally(
    model: Any,  # noqa: ANN401 - a model of transformers or peft
    blocks: Blocks,
    settings: OptimizerPlan,
    *,
    passes: float,
    seed: int,
    proximal: float = 0.0,
    hooks: Sequence[transformers.TrainerCallback] = (),
) -> LocalResult:
    """Train `model` in place for `passes` over `blocks`; its parameters that require a gradient move, and no other.

    `proximal`: FedProx' mu, by which (mu / 2) * |w - w0|^2 is added to the loss, w0 being the parameters at the start
    (Li et al. 2020, arXiv 1812.06127, section 3.2). The same model, rows and seed give the same weights.

    Raises StoppedError when the weights did not move, or are not finite.
    """
    before = Fingerprint(model)
    with tempfile.TemporaryDirectory(prefix="cr-train-") as folder:
        arguments = arguments_for(model, settings, blocks, Path(folder), passes=passes, seed=seed, save_strategy="no")
        trainer = trainer_for(model, arguments, blocks, hooks=hooks, proximal=proximal)
        output = trainer.train()
    before.require_moved(model)
    return LocalResult(blocks.examples, blocks.tokens, output.global_step, output.training_loss)


def steps_a_pass(blocks: Blocks, settings: OptimizerPlan) -> int:
    """Steps of the optimizer that one pass over the rows takes."""
    part = settings.micro_batch or settings.batch
    return math.ceil(math.ceil(len(blocks) / part) / (settings.batch // part))


def arguments_for(
    model: Any,  # noqa: ANN401 - as above
    settings: OptimizerPlan,
    blocks: Blocks,
    folder: Path,
    *,
    passes: float,
    seed: int,
    **more: Any,  # noqa: ANN401 - arguments of transformers
) -> transformers.TrainingArguments:
    """The Trainer's arguments for these settings; `more` adds and overrides."""
    steps = max(1, math.ceil(steps_a_pass(blocks, settings) * passes))
    part = settings.micro_batch or settings.batch
    given = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": part,
        "per_device_eval_batch_size": part,
        "gradient_accumulation_steps": settings.batch // part,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        # Rounded down, so that the few steps of a round are not spent on a rate of nothing.
        "warmup_steps": int(steps * settings.warmup),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.clip,
        "seed": seed,
        "data_seed": seed,
        "use_cpu": next(model.parameters()).device.type == "cpu",
        # What the rows' own column of positions is for, the Trainer cannot know.
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": [],
    }
    return transformers.TrainingArguments(**{**given, **more})


def trainer_for(
    model: Any,  # noqa: ANN401 - as above
    arguments: transformers.TrainingArguments,
    blocks: Blocks,
    *,
    validation: Blocks | None = None,
    hooks: Sequence[transformers.TrainerCallback] = (),
    proximal: float = 0.0,
) -> transformers.Trainer:
    """A Trainer that prints nothing; `hooks` are told of every step."""
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=blocks,
        eval_dataset=validation,
        data_collator=transformers.default_data_collator,
        callbacks=list(hooks),
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.hold_near(proximal)
    return trainer


class _Trainer(transformers.Trainer):
    """The Trainer with FedProx' term."""

    def hold_near(self, proximal: float) -> None:
        """Add (proximal / 2) * |w - w0|^2 to the loss, w0 being the parameters now."""
        self._proximal = proximal
        moving = (one for one in self.model.parameters() if one.requires_grad)
        self._origin = [(one, one.detach().clone()) for one in moving] if proximal else []

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the Trainer's
        """The loss of a batch, with the term while training."""
        loss = super().compute_loss(model, {**inputs, **UNCACHED}, *args, **kwargs)
        if not self._origin or not model.training:
            return loss
        distance = sum(((one - origin) ** 2).sum() for one, origin in self._origin)
        # The Trainer adds up the losses of the parts of a batch.
        return loss + self._proximal / 2 * distance / self.args.gradient_accumulation_steps


class Fingerprint:
    """Tells whether parameters moved, at the cost of two numbers each."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - as above
        self._before = _sums(model)

    def require_moved(self, model: Any) -> None:  # noqa: ANN401 - as above
        """Raise StoppedError unless a parameter is another than before, and all are finite."""
        after = _sums(model)
        broken = sorted(name for name, sums in after.items() if not all(map(math.isfinite, sums)))
        if broken:
            message = f"the weights are no longer finite ({broken[0]}): lower optimizer.learning_rate or optimizer.clip"
            raise StoppedError(message)
        if after == self._before:
            message = "no weight has moved in training: raise optimizer.learning_rate or passes"
            raise StoppedError(message)


def _sums(model: Any) -> dict[str, tuple[float, float]]:  # noqa: ANN401 - as above
    return {
        name: (float(one.detach().double().sum()), float(one.detach().double().square().sum()))
        for name, one in model.named_parameters()
        if one.requires_grad
    }


def loss_of(model: Any, blocks: Blocks, batch: int) -> float:  # noqa: ANN401 - as above
    """Mean loss over the tokens of `blocks` that are to be predicted, in nats; the model is left in its mode."""
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    total = 0.0
    for rows in torch.utils.data.DataLoader(blocks, batch_size=batch):
        inputs = {name: rows[name].to(device) for name in ("input_ids", "position_ids")}
        with torch.no_grad():
            logits = model(**inputs, **UNCACHED).logits[:, :-1].flatten(0, 1)
        labels = rows["labels"][:, 1:].flatten().to(device)
        total += float(torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum"))
    model.train(training)
    return total / max(blocks.predicted, 1)
