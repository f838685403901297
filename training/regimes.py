"""The ways in which organizations train a model together, each as stages of training. Knows no file format.

`train` is the list of them; a federation is `training.federated`'s.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from training.base import trainable
from training.blocks import Blocks, apart, blocks_of
from training.data import Corpus, training_examples
from training.errors import PlanError
from training.examples import Split
from training.local import steps_a_pass
from training.models import ADAPTERS, combined, save
from training.node_privacy import steps_of_rounds
from training.ordering import ordered
from training.plan import Centralized, Compartmentalized, Federated, Incremental
from training.privacy import Account, Spending, affordable, spent_before
from training.stages import Stage, StageResult, train_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from training.base import Base
    from training.log import At
    from training.plan import Plan


@dataclass(frozen=True, slots=True)
class Work:
    """All that a regime works with. `folder`: of the run; `corpora`: in the order of the plan."""

    plan: Plan
    base: Base
    corpora: tuple[Corpus, ...]
    folder: Path
    resume: bool
    report: Callable[[At], None]

    def training_blocks(self, corpora: Sequence[Corpus]) -> Blocks:
        """The rows that one trainer of these corpora reads; with privacy, of one example each."""
        examples = training_examples(corpora, self.plan.data, self.plan.seed)
        vocabulary, block = self.base.vocabulary, self.plan.optimizer.block
        if self.plan.example_privacy is not None:
            return apart(examples, vocabulary, block)
        return blocks_of(examples, vocabulary, block, self.plan.data.shifts(self.plan.seed))

    def spent_before(self) -> dict[str, tuple[Spending, ...]]:
        """What training the base has spent of each organization's privacy. Raises PlanError."""
        unit = "example" if self.plan.privacy is None else self.plan.privacy.unit
        return spent_before(self.base.folder, unit)

    def account(self, corpora: Sequence[Corpus], blocks: Blocks) -> Account | None:
        """What a stage on these corpora may spend of their privacy. Raises PlanError where nothing is left."""
        settings = self.plan.example_privacy
        if settings is None:
            return None
        before, names = self.spent_before(), tuple(corpus.name for corpus in corpora)
        pass_ = steps_a_pass(blocks, self.plan.optimizer)
        regime = self.plan.regime
        if isinstance(regime, Federated):
            steps = steps_of_rounds(blocks, self.plan.optimizer, regime.local_passes, regime.rounds)
        else:
            steps = max(1, math.ceil(pass_ * self.plan.passes))
        # Opacus' loader gives each example this chance. Who spent most before has least left.
        budgets = {affordable(before.get(name, ()), 1 / pass_, steps, settings) for name in names}
        return Account(names, max(budgets, key=lambda one: one.noise_multiplier))

    def accounts(self) -> tuple[Account, ...]:
        """What every stage may spend, in the order of the stages; nothing without privacy of examples.

        Raises PlanError.
        """
        if self.plan.example_privacy is None:
            return ()
        together = isinstance(self.plan.regime, Centralized)
        groups = [self.corpora] if together else [(corpus,) for corpus in in_order(self)]
        found = (self.account(group, self.training_blocks(group)) for group in groups)
        return tuple(account for account in found if account is not None)

    def held_out(self, corpora: Sequence[Corpus]) -> Blocks:
        """The rows of these corpora that are not trained on, as the corpora cut them."""
        examples = [example for corpus in corpora for example in corpus.examples(Split.VALIDATION)]
        return blocks_of(examples, self.base.vocabulary, self.plan.optimizer.block)

    def model(self, name: str = "") -> Any:  # noqa: ANN401 - a model of transformers or peft
        """The base, ready for training; `name` tells the random beginnings of several apart."""
        return trainable(self.base, self.plan.model, seed_of(self.plan.seed, name))

    def train(self, model: Any, name: str, corpora: Sequence[Corpus], seed: int) -> StageResult:  # noqa: ANN401 - as above
        """Train `model` on these corpora, as a stage called `name`."""
        blocks = self.training_blocks(corpora)
        account = self.account(corpora, blocks)
        stage = Stage(name, blocks, self.held_out(corpora), seed, None if account is None else account.budget)
        return train_stage(model, stage, self.plan, self.folder, resume=self.resume, report=self.report)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a regime made: the model, what the stages came to, and whether the run's folder already holds weights.

    `spent`: of privacy, by organization, where nodes kept the ledgers.
    """

    model: Any
    stages: tuple[StageResult, ...]
    saved: bool = False
    spent: tuple[tuple[Account, int], ...] = ()


def train(work: Work) -> Trained:
    """Train as the plan's regime says. Raises TrainingError."""
    match work.plan.regime:
        case Centralized():
            return centralized(work)
        case Incremental():
            return incremental(work)
        case Compartmentalized():
            return compartmentalized(work)
        case Federated():
            return federated(work)


def centralized(work: Work) -> Trained:
    """One model on everybody's code at once."""
    model = work.model()
    return Trained(model, (work.train(model, "all", work.corpora, work.plan.seed),))


def incremental(work: Work) -> Trained:
    """One model on one organization after the other, each with a learning-rate schedule of its own."""
    model = work.model()
    stages = [
        work.train(model, f"{turn:02}-{corpus.name}", [corpus], work.plan.seed + turn)
        for turn, corpus in enumerate(in_order(work), 1)
    ]
    return Trained(model, tuple(stages))


def in_order(work: Work) -> tuple[Corpus, ...]:
    """The corpora in the order in which stages of their own train on them."""
    regime = work.plan.regime
    if not isinstance(regime, Incremental):
        return work.corpora
    corpora = {corpus.name: corpus for corpus in work.corpora}
    order = regime.order
    if isinstance(order, str):
        order = ordered(regime, {name: _tokens(work, corpus) for name, corpus in corpora.items()})
    return tuple(corpora[name] for name in order)


def _tokens(work: Work, corpus: Corpus) -> list[int]:
    vocabulary = work.base.vocabulary
    return [
        token
        for example in corpus.examples(Split.TRAIN)
        for token in vocabulary.tokens(example.prefix + example.middle + example.suffix)
    ]


def compartmentalized(work: Work) -> Trained:
    """An adapter an organization. None depends on who else takes part: neither on their code nor on their number."""
    stages = []
    for corpus in work.corpora:
        model = work.model(corpus.name)
        stages.append(work.train(model, corpus.name, [corpus], seed_of(work.plan.seed, corpus.name)))
        how = work.plan.model
        save(model, work.folder / ADAPTERS / corpus.name, how.base, how.precision, how.strength)
    # All but the adapters: peft puts those of the last organization beside.
    base = model.unload()
    adapters = {corpus.name: work.folder / ADAPTERS / corpus.name for corpus in work.corpora}
    return Trained(combined(base, adapters), tuple(stages), saved=True)


def federated(work: Work) -> Trained:
    """One model; the organizations' updates travel, their code does not. Raises PlanError without Flower."""
    try:
        federation = import_module("training.federated")
    except ModuleNotFoundError as error:
        remedy = "choose another regime" if error.name == "training.federated" else "install the extra federation"
        message = f"regime.kind 'federated' cannot be run here ({error}): {remedy}"
        raise PlanError(message) from error
    trained: Trained = federation.train(work)
    return trained


def seed_of(seed: int, name: str) -> int:
    """A seed for each name, which is `seed` itself for none; 32 bits."""
    if not name:
        return seed
    return int.from_bytes(hashlib.blake2b(b"%d %s" % (seed, name.encode()), digest_size=4).digest(), "little")
