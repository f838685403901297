"""What runs at an organization (Flower's ClientApp): trains on its own folder, and answers with arrays and numbers.

Where corpus and base lie is told by the operator of the node alone (`--node-config`), never by the server. What goes
wrong is written to the node's own log; the server learns only that, since an error's text may hold code.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from training.base import open_base, trainable
from training.blocks import apart, blocks_of
from training.data import open_corpus, training_examples
from training.errors import NodeRefusalError, PlanError
from training.examples import Split
from training.local import loss_of, train_locally
from training.messages import ARRAYS, PRIVACY_METRICS, RECITED, WATCHED_METRICS, Identity, answer, orders_in
from training.monitor import recited, sample
from training.node_privacy import Spent, require_private, train_privately
from training.plan import Method
from training.privacy import spent_before
from training.shared import adapter_of, from_record, take_up, to_record, weights_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from training.base import Base
    from training.blocks import Blocks
    from training.data import Corpus
    from training.messages import Orders
    from training.monitor import Sample
    from training.plan import MonitorPlan

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """An organization's own: its name, the folder of its corpus, and where its copy of the base lies.

    `ledger`: the folder in which it counts what is spent of its privacy. `epsilon`: the most that it allows; with it,
    nothing is trained without privacy.
    """

    organization: str
    corpus: Path
    base: str
    ledger: Path
    epsilon: float | None = None

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Site:
        """As the operator of the node configured it.

        Raises:
            NodeRefusalError: something is missing, or the corpus has no manifest.
        """
        missing = [name for name in ("organization", "corpus", "base") if not config.get(name)]
        if missing:
            message = f"the node's configuration lacks {missing[0]}: give --node-config"
            raise NodeRefusalError(message)
        corpus = Path(str(config["corpus"]))
        ledger = Path(str(config.get("ledger") or corpus.with_name(f"{corpus.name}.privacy")))
        most = float(str(config["epsilon"])) if config.get("epsilon") else None
        site = cls(str(config["organization"]), corpus, str(config["base"]), ledger, most)
        if not (site.corpus / "manifest.json").is_file():
            message = "the node's corpus has no manifest: build it with `cleanroom corpus build`"
            raise NodeRefusalError(message)
        return site

    def identity(self) -> Identity:
        """What the server learns of it."""
        manifest = (self.corpus / "manifest.json").read_bytes()
        return Identity(self.organization, hashlib.sha256(manifest).hexdigest())


def update(content: RecordDict, site: Site) -> RecordDict:
    """Train from what is shared, for one round.

    Raises:
        NodeRefusalError: base or tokenizer are not those of the plan.
        TrainingError: the corpus was changed, or training went wrong.
    """
    orders, base, model = _begin(content, site)
    require_private(orders, site.epsilon)
    corpus = open_corpus(site.organization, site.corpus)
    held_out = _held_out(corpus, base, orders)
    received = loss_of(model, held_out, orders.optimizer.batch)
    told, more = _trained(model, corpus, base, orders, site, received)
    moved = weights_of(model) if orders.model.method is Method.FULL else adapter_of(model)
    metrics = {**told, "validation-loss": received, "validation-tokens": held_out.predicted, **more}
    return answer(metrics, site.identity(), to_record(moved))


def _trained(
    model: Any,  # noqa: ANN401 - a model of transformers or peft
    corpus: Corpus,
    base: Base,
    orders: Orders,
    site: Site,
    received: float,
) -> tuple[dict[str, float], dict[str, float]]:
    """Train for a round; what is told of it, and what was spent of privacy or is recited."""
    examples, block = training_examples([corpus], orders.data, orders.seed), orders.optimizer.block
    if orders.privacy is None:
        rows = blocks_of(examples, base.vocabulary, block, orders.data.shifts(_seed(orders)))
        watched = None
        if orders.monitor is not None:
            # Drawn from rows that are the same in every round.
            watched = _watched(blocks_of(examples, base.vocabulary, block), orders.monitor, orders.seed)
        before = None if watched is None else recited(model, watched)
        result = train_locally(
            model, rows, orders.optimizer, passes=orders.passes, seed=_seed(orders), proximal=orders.proximal
        )
        told = {"num-examples": rows.examples, "tokens": rows.tokens, "loss": result.loss}
        if watched is None or before is None:
            return told, {}
        return told, dict(zip(WATCHED_METRICS, (before, recited(model, watched)), strict=True))
    rows = apart(examples, base.vocabulary, block)
    spent = spent_before(base.folder).get(site.organization, ())
    ledger = train_privately(model, rows, orders, orders.privacy, Spent(site.ledger, spent))
    # Losses and lengths of examples are without noise, and stay here: the loss on held-out code stands in.
    told = {"num-examples": rows.examples, "tokens": rows.examples * block, "loss": received}
    budget = ledger.budget
    numbers = (budget.noise_multiplier, budget.sample_rate, budget.steps, ledger.steps)
    return told, dict(zip(PRIVACY_METRICS, numbers, strict=True))


def evaluation(content: RecordDict, site: Site) -> RecordDict:
    """The loss of what is shared on the organization's validation split, and what it recites. Raises as `update`."""
    orders, base, model = _begin(content, site)
    corpus = open_corpus(site.organization, site.corpus)
    rows = _held_out(corpus, base, orders)
    loss = loss_of(model, rows, orders.optimizer.batch)
    metrics = {"num-examples": rows.examples, "validation-tokens": rows.predicted, "validation-loss": loss}
    if orders.monitor is not None:
        examples = training_examples([corpus], orders.data, orders.seed)
        trained = blocks_of(examples, base.vocabulary, orders.optimizer.block)
        metrics[RECITED] = recited(model, _watched(trained, orders.monitor, orders.seed))
    return answer(metrics, site.identity())


def _begin(content: RecordDict, site: Site) -> tuple[Orders, Base, Any]:
    orders = orders_in(content)
    base = open_base(site.base)
    if base.digest != orders.base_digest:
        message = (
            f"another base or tokenizer: here {base.digest[:16]}, in the plan {orders.base_digest[:16]}; "
            "let every node have the same files"
        )
        raise NodeRefusalError(message)
    model = trainable(base, orders.model, _seed(orders))
    take_up(model, from_record(content.array_records[ARRAYS]))
    return orders, base, model


def _watched(rows: Blocks, settings: MonitorPlan, seed: int) -> Sample:
    """Pieces of the node's training rows, the same in every round. Raises NodeRefusalError where no file has one."""
    try:
        return sample(rows, settings.prefixes, settings.tokens, seed)
    except PlanError as error:
        message = (
            f"none of its files fills {2 * settings.tokens} tokens of a row: lower monitor.tokens, or raise "
            "optimizer.block"
        )
        raise NodeRefusalError(message) from error


def _seed(orders: Orders) -> int:
    """One seed for all nodes of a round: adapters begin alike."""
    drawn = hashlib.sha256(f"{orders.seed}/{orders.server_round}".encode()).digest()
    return int.from_bytes(drawn[:4], "big")


def _held_out(corpus: Corpus, base: Base, orders: Orders) -> Blocks:
    return blocks_of(corpus.examples(Split.VALIDATION), base.vocabulary, orders.optimizer.block)


def client_app() -> ClientApp:
    """The app of a node."""
    one = ClientApp()

    @one.train()
    def _train(message: Message, context: Context) -> Message:
        return _answered(update, message, context)

    @one.evaluate()
    def _evaluate(message: Message, context: Context) -> Message:
        return _answered(evaluation, message, context)

    return one


def _answered(work: Callable[[RecordDict, Site], RecordDict], message: Message, context: Context) -> Message:
    """Do it; of what fails, let nothing out but that it failed.

    Raises NodeRefusalError, whose texts are all in this package and hold no code and no path.
    """
    try:
        return Message(work(message.content, Site.of(context.node_config)), reply_to=message)
    except NodeRefusalError:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, its text stays here
        _LOG.exception("a round failed at this node")
        reason = "it failed; the node's own log says why"
        raise NodeRefusalError(reason) from None


app = client_app()
