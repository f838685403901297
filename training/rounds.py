"""What is told of a federation's rounds: its record, its log, and what nodes say of the end. Joins no update."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flwr.app import Message, MessageType, RecordDict

from training.errors import FederationError
from training.log import StageLog
from training.messages import ARRAYS, CONFIG, PRIVACY_METRICS, RECITED, WATCHED_METRICS, identity_in, metrics_in
from training.updates import pooled, recited

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flwr.serverapp import Grid

    from training.messages import Orders
    from training.standing import Outcome
    from training.strategies import Consortium
    from training.updates import Update

STAGE = "federation"
"""The one stage of a federation, in logs and records."""
_LOG = logging.getLogger(__name__)


def note(outcome: Outcome, number: int, updates: Sequence[Update]) -> None:
    """Enter a round. What ends in `_before` is of what the nodes received: the aggregate of the round before."""
    examples = sum(update.examples for update in updates)
    entry: dict[str, Any] = {
        "round": number,
        "organizations": [update.identity.organization for update in updates],
        "refused": sum(refusal.server_round == number for refusal in outcome.refusals),
        "loss": sum(float(str(u.metrics["loss"])) * u.examples for u in updates) / examples,
        # None where nobody has a validation split.
        "validation_loss_before": loss if (loss := pooled(updates)) != float("inf") else None,
    }
    if before := recited(updates):
        entry["recited_before"] = before
        entry["recited_trained"] = {
            update.identity.organization: float(str(update.metrics[WATCHED_METRICS[1]])) for update in updates
        }
    outcome.rounds.append(entry)
    for update in updates:
        spent = {name: float(str(update.metrics[name])) for name in PRIVACY_METRICS if name in update.metrics}
        outcome.organizations[update.identity.organization] = {
            "corpus_sha256": update.identity.corpus_sha256,
            "examples": int(update.examples),
            "tokens": int(float(str(update.metrics["tokens"]))),
            **({"spent": spent} if spent else {}),
        }


class RoundLog:
    """`log.jsonl` and TensorBoard in a run's folder, as `training.log` writes them; a round stands for a step.

    Begins behind round `begin`. Without a folder nothing is written.
    """

    def __init__(self, folder: Path | None, begin: int) -> None:
        self._log = None if folder is None else StageLog(folder, STAGE, begin)

    def round(self, entry: dict[str, Any]) -> None:
        """Write what `note` entered."""
        figures = {name: entry[name] for name in ("loss", "validation_loss_before") if entry[name] is not None}
        for name in ("recited_before", "recited_trained"):
            figures |= _each(name, entry.get(name, {}))
        self._write(entry["round"], figures)

    def end(self, outcome: Outcome) -> None:
        """Write what `evaluate` entered."""
        loss = {} if outcome.validation_loss is None else {"validation_loss": outcome.validation_loss}
        self._write(len(outcome.rounds), loss | _each("recited", outcome.recited))

    def _write(self, step: int, figures: dict[str, float]) -> None:
        if self._log is not None:
            self._log.write(step, **figures)

    def close(self) -> None:
        """Flush what TensorBoard reads."""
        if self._log is not None:
            self._log.close()


def _each(name: str, shares: dict[str, float]) -> dict[str, float]:
    return {f"{name}/{organization}": share for organization, share in shares.items()}


def evaluate(grid: Grid, strategy: Consortium, orders: Orders, outcome: Outcome) -> None:
    """Ask the nodes that took part last what they say of the end; another may be dead, and is not asked.

    Enters the loss over all their validation tokens, and by organization what is recited.
    """
    config = orders.to_config()
    config["server-round"] = 1
    content = RecordDict({ARRAYS: strategy.record, CONFIG: config})
    messages = [
        Message(content=content, dst_node_id=node, message_type=MessageType.EVALUATE)
        for node in strategy.last or grid.get_node_ids()
    ]
    total, tokens = 0.0, 0.0
    for reply in grid.send_and_receive(messages, timeout=strategy.terms.timeout):
        if reply.has_error():
            _LOG.warning("node %d did not evaluate: %s", reply.metadata.src_node_id, reply.error.reason)
            continue
        try:
            metrics = metrics_in(reply.content, orders.evaluation_metrics())
            organization = identity_in(reply.content).organization
        except FederationError as error:
            _LOG.warning("the evaluation of node %d is left out: %s", reply.metadata.src_node_id, error)
            continue
        total += metrics["validation-loss"] * metrics["validation-tokens"]
        tokens += metrics["validation-tokens"]
        if RECITED in metrics:
            outcome.recited[organization] = metrics[RECITED]
    outcome.validation_loss = total / tokens if tokens else None
