"""DP-SGD: training on clipped and noised gradients of single examples. Knows no epsilon; a ledger counts its steps.

Opacus computes, clips and noises the gradients and draws the batches; transformers' Trainer does the rest. Noise and
draws come of a seed from the system that nobody keeps: whoever knew it could take the noise away again.
"""

from __future__ import annotations

import math
import secrets
import warnings
from typing import TYPE_CHECKING, Any

import torch
import transformers

from training.blocks import IGNORED
from training.errors import PlanError, StoppedError
from training.hooks import step_of
from training.local import UNCACHED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.blocks import Blocks
    from training.privacy import Ledger


_COLUMNS = ("input_ids", "labels", "position_ids")


class NoisyTrainer(transformers.Trainer):
    """The Trainer, whose steps are DP-SGD's.

    `rows`: at once, of the batch; a batch holds as many as chance draws, and at times none.
    """

    optimizer: Any

    def __init__(self, *, ledger: Ledger, clip: float, rows: int, **given: Any) -> None:  # noqa: ANN401 - the Trainer's
        self._ledger, self._clip, self._rows = ledger, clip, rows
        self._private: Any = None
        self._hooks: Any = None
        self._loader: Any = None
        super().__init__(**given)

    def get_train_dataloader(self) -> Any:  # noqa: ANN401 - Opacus'
        """Opacus' loader, which draws each example with the same chance at each step."""
        self.create_optimizer()
        return self._loader

    def create_optimizer(self, model: Any = None) -> Any:  # noqa: ANN401 - theirs
        """The Trainer's optimizer, within Opacus'. Raises PlanError for a model that Opacus cannot take apart."""
        if self._private is not None:
            return self.optimizer
        inner = super().create_optimizer(model)
        draws, noise = torch.Generator(), torch.Generator(next(self.model.parameters()).device)
        for generator in (draws, noise):
            generator.manual_seed(secrets.randbits(63))
        self.model.train()
        batch = self.args.per_device_train_batch_size
        loader = torch.utils.data.DataLoader(self.train_dataset, batch_size=batch, generator=draws)
        self._hooks, self._private, self._loader = _private(
            module=self.model,
            optimizer=inner,
            data_loader=loader,
            noise_multiplier=self._ledger.budget.noise_multiplier,
            max_grad_norm=self._clip,
            noise_generator=noise,
            wrap_model=False,
        )
        if not math.isclose(self._loader.sample_rate, self._ledger.budget.sample_rate):
            message = f"examples would be drawn at {self._loader.sample_rate:g}, not as the privacy budget was made for"
            raise StoppedError(message)
        # Opacus' own asks a batch what an empty one looks like, and the first may be empty.
        self._loader.collate_fn = self._collated
        # Instead of Opacus' own accountant, between the noise and the step.
        self._private.attach_step_hook(lambda _: self._ledger.spend())
        self.optimizer = self._private
        return self.optimizer

    def _collated(self, rows: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        blocks: Any = self.train_dataset
        if not rows:
            return {name: getattr(blocks, name)[:0] for name in _COLUMNS}
        return {name: torch.stack([row[name] for row in rows]) for name in _COLUMNS}

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:  # noqa: ANN401, ARG002 - theirs
        """The schedule of the learning rate, on the optimizer within."""
        return super().create_scheduler(num_training_steps, self._private.original_optimizer)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:  # noqa: ANN401, ARG002
        """Clipped gradients of a batch, some rows at a time; the noise follows once, in the optimizer's step.

        A row's loss is the mean over its own tokens, so that no row weighs on another's.
        """
        model.train()
        self._private.zero_grad()
        rows = self._prepare_inputs(inputs)
        count = len(rows["input_ids"])
        if not count:
            for one in self._private.params:
                one.grad_sample = one.new_zeros((0, *one.shape))
            return torch.zeros((), device=self.args.device)
        total = torch.zeros((), device=self.args.device)
        for start in range(0, count, self._rows):
            part = {name: values[start : start + self._rows] for name, values in rows.items()}
            losses = losses_of(model, part)
            with warnings.catch_warnings():
                # Of the first layer, whose input are tokens or frozen: its own parameters are hooked all the same.
                warnings.filterwarnings("ignore", message="Full backward hook is firing", category=UserWarning)
                losses.mean().backward()
            total += losses.detach().sum()
            if start + self._rows < count:
                self._private.signal_skip_step(do_skip=True)
                self._private.step()
                self._private.zero_grad()
        return total / count

    def release(self) -> None:
        """Take Opacus' hooks off the model."""
        if self._hooks is not None:
            self._hooks.cleanup()


def _private(**given: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401 - Opacus'
    """The hooks, the optimizer and the loader by which Opacus makes a training private. Raises PlanError."""
    from opacus import PrivacyEngine  # noqa: PLC0415 - slow, and only for plans with privacy
    from opacus.validators.errors import UnsupportedModuleError  # noqa: PLC0415

    with warnings.catch_warnings():
        # That the generator is no cryptographic one, docs/training.md says.
        warnings.filterwarnings("ignore", message="Secure RNG turned off", category=UserWarning)
        engine = PrivacyEngine(accountant="rdp")
        try:
            hooks, optimizer, loader = engine.make_private(**given)
        except (UnsupportedModuleError, NotImplementedError) as error:
            message = f"the base cannot be trained with [privacy]: Opacus refuses it ({error})"
            raise PlanError(message) from error
    return hooks, optimizer, loader


def losses_of(model: Any, rows: dict[str, torch.Tensor]) -> torch.Tensor:  # noqa: ANN401 - a model of transformers
    """The loss of each row, in nats a token, a vector; 0 for a row of which nothing is to be predicted."""
    logits = model(input_ids=rows["input_ids"], position_ids=rows["position_ids"], **UNCACHED).logits[:, :-1]
    labels = rows["labels"][:, 1:]
    losses = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2).float(), labels, reduction="none", ignore_index=IGNORED
    )
    return losses.sum(dim=1) / (labels != IGNORED).sum(dim=1).clamp(min=1)


def train_noisily(
    model: Any,  # noqa: ANN401 - as above
    arguments: transformers.TrainingArguments,
    blocks: Blocks,
    checkpoint: Path | None,
    *,
    ledger: Ledger,
    clip: float,
    hooks: Sequence[transformers.TrainerCallback] = (),
) -> int:
    """Train `model` in place on rows of one example each, from a checkpoint on, until the ledger has no step left.

    `clip`: the greatest norm of an example's gradient. Returns the steps that are in the weights.

    Raises:
        PlanError: Opacus cannot take the model apart, or there are several GPUs.
        StoppedError: all steps were made before the first checkpoint, and their weights are lost.
    """
    trainer = _trainer(model, arguments, blocks, list(hooks), ledger, clip)
    begin = 0 if checkpoint is None else step_of(checkpoint)
    # Steps behind the checkpoint are lost, and yet were made: so many fewer are left.
    arguments.max_steps = begin + ledger.left
    if not ledger.left:
        if checkpoint is None:
            message = "the privacy budget was spent before a checkpoint was written: lower checkpoints.every"
            raise StoppedError(message)
        trainer._load_from_checkpoint(str(checkpoint))  # noqa: SLF001 - what the Trainer's own `train` begins with
        return begin
    try:
        return int(trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint)).global_step)
    finally:
        trainer.release()


def _trainer(
    model: Any,  # noqa: ANN401 - as above
    arguments: transformers.TrainingArguments,
    blocks: Blocks,
    hooks: list[transformers.TrainerCallback],
    ledger: Ledger,
    clip: float,
) -> NoisyTrainer:
    if arguments.n_gpu > 1:
        message = "[privacy] trains on one GPU: choose one by CUDA_VISIBLE_DEVICES"
        raise PlanError(message)
    rows = arguments.per_device_train_batch_size
    arguments.per_device_train_batch_size = rows * arguments.gradient_accumulation_steps
    arguments.gradient_accumulation_steps = 1
    # The noise is not to be clipped; and what was drawn before an interruption is not drawn again.
    arguments.max_grad_norm, arguments.ignore_data_skip = 0.0, True
    trainer = NoisyTrainer(
        ledger=ledger, clip=clip, rows=rows, model=model, args=arguments, train_dataset=blocks, callbacks=hooks
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer
