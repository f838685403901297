"""The federated regime: rounds of local training joined by a strategy. Flower's ServerApp, and the run in one process.

The server has the plan and its own copy of the base; it never sees a corpus. Knows no transport.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.app import ArrayRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp
from peft import PeftModel

from training.base import open_base, trainable
from training.errors import DestinationError, FederationError, PlanError
from training.grid import LocalGrid
from training.log import At
from training.messages import ARRAYS, CONFIG, EVALUATION_METRICS, PRIVACY_METRICS, Orders, metrics_in
from training.models import ADAPTER, MODEL, RUN, held_in, save
from training.node import client_app
from training.plan import Federated, Method
from training.plan_file import read_plan
from training.privacy import Account, Spending, spent_before
from training.privacy import record as privacy_record
from training.regimes import Trained
from training.screening import Screen
from training.shared import from_record, model_of, no_update, to_record, weights_of
from training.stages import StageResult
from training.standing import STATE, Outcome, keep, resume
from training.strategies import MEANS, Consortium, TargetReached, Terms, consortium, pooled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from training.base import Base
    from training.plan import Plan
    from training.regimes import Work
    from training.screening import Update

_LOG = logging.getLogger(__name__)
CHECKPOINTS = "checkpoints"
FORMAT = 1
"""Of run.json, as `training.run` writes it."""


def federate(
    grid: Grid,
    plan: Plan,
    base: Base,
    terms: Terms | None = None,
    checkpoints: Path | None = None,
    on_round: Callable[[dict[str, Any]], None] | None = None,
) -> Outcome:
    """Train over a grid, as the plan says, from the last round that `checkpoints` holds.

    Raises:
        PlanError: the plan is not of a federation, or its strategy withstands nobody among so few.
        FederationError: too few nodes came or answered, or too many were refused; the rounds so far are kept.
    """
    regime, terms = _regime(plan), terms or Terms()
    screen = Screen(plan.names, plan.model.method is Method.FULL, terms.norm_limit, private=plan.privacy is not None)
    strategy = consortium(regime, plan.model.method, screen, terms)
    strategy.target = plan.budget.validation_loss
    orders, record = _first(plan, base, regime)
    outcome = Outcome(refusals=screen.refusals)
    if checkpoints is not None and (checkpoints / STATE).is_file():
        record = resume(checkpoints / STATE, strategy, outcome)
    strategy.record = record

    def after_round(number: int, at: Consortium, updates: Sequence[Update]) -> None:
        _note(outcome, number, updates)
        if checkpoints is not None:
            keep(checkpoints / STATE, number, at, outcome)
        if on_round is not None:
            on_round(outcome.rounds[-1])

    strategy.after_round = after_round
    left = regime.rounds - strategy.rounds_before
    if left > 0:
        try:
            strategy.start(grid, record, left, terms.timeout, orders.to_config())
        except TargetReached:
            outcome.reached = True
    outcome.matrices = from_record(strategy.record)
    outcome.validation_loss = _evaluate(grid, strategy, orders)
    return outcome


def train(work: Work) -> Trained:
    """The federation in one process, each organization a node of its own folder.

    Raises as `federate` does.
    """
    app, base = client_app(), str(work.base.folder)
    ledgers = work.folder / CHECKPOINTS / "privacy"
    nodes = {
        number: (
            app,
            {
                "organization": corpus.name,
                "corpus": str(corpus.folder),
                "base": base,
                "ledger": str(ledgers / corpus.name),
            },
        )
        for number, corpus in enumerate(work.corpora, 1)
    }
    terms = Terms(minimum=min(2, len(nodes)), wait=0.0)

    def report(entry: dict[str, Any]) -> None:
        work.report(At("federation", entry["round"], _regime(work.plan).rounds, entry["loss"]))

    outcome = federate(LocalGrid(nodes), work.plan, work.base, terms, work.folder / CHECKPOINTS, report)
    stages = _write(outcome, work.plan, work.base, work.folder)
    return Trained(model_of(outcome.matrices, work.base, work.plan.model), stages, saved=True, spent=spent_in(outcome))


def spent_in(outcome: Outcome) -> tuple[tuple[Account, int], ...]:
    """The budget of each organization that trained with privacy, and the steps of it that were made."""
    told = {name: one["spent"] for name, one in outcome.organizations.items() if one.get("spent")}
    return tuple(
        (Account((name,), Spending(one["noise-multiplier"], one["sample-rate"], int(one["private-steps"]))),
         int(one["private-steps-made"]))
        for name, one in told.items()
    )  # fmt: skip


def _regime(plan: Plan) -> Federated:
    if not isinstance(plan.regime, Federated):
        message = f'the plan {plan.name!r} is of the regime {plan.regime.kind}: write kind = "federated"'
        raise PlanError(message)
    return plan.regime


def _first(plan: Plan, base: Base, regime: Federated) -> tuple[Orders, ArrayRecord]:
    """The orders of all rounds, and what is shared before the first."""
    model = trainable(base, plan.model, plan.seed)
    shared = (
        weights_of(model) if plan.model.method is Method.FULL else no_update(model, whole=regime.strategy not in MEANS)
    )
    orders = Orders(
        base_digest=base.digest,
        model=plan.model,
        optimizer=plan.optimizer,
        data=plan.data,
        passes=regime.local_passes,
        seed=plan.seed,
        rounds=regime.rounds,
        privacy=plan.privacy,
    )
    return orders, to_record(shared)


def _note(outcome: Outcome, number: int, updates: Sequence[Update]) -> None:
    examples = sum(update.examples for update in updates)
    outcome.rounds.append(
        {
            "round": number,
            "organizations": [update.identity.organization for update in updates],
            "refused": sum(refusal.server_round == number for refusal in outcome.refusals),
            "loss": sum(float(str(u.metrics["loss"])) * u.examples for u in updates) / examples,
            # Of what the nodes received: the aggregate of the round before. None where nobody has a validation split.
            "validation_loss_before": loss if (loss := pooled(updates)) != float("inf") else None,
        }
    )
    for update in updates:
        spent = {name: float(str(update.metrics[name])) for name in PRIVACY_METRICS if name in update.metrics}
        outcome.organizations[update.identity.organization] = {
            "corpus_sha256": update.identity.corpus_sha256,
            "examples": int(update.examples),
            "tokens": int(float(str(update.metrics["tokens"]))),
            **({"spent": spent} if spent else {}),
        }


def _evaluate(grid: Grid, strategy: Consortium, orders: Orders) -> float | None:
    """The loss over all validation tokens of the nodes that took part last; another may be dead, and is not asked."""
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
            metrics = metrics_in(reply.content, EVALUATION_METRICS)
        except FederationError as error:
            _LOG.warning("the evaluation of node %d is left out: %s", reply.metadata.src_node_id, error)
            continue
        total += metrics["validation-loss"] * metrics["validation-tokens"]
        tokens += metrics["validation-tokens"]
    return total / tokens if tokens else None


def server_app() -> ServerApp:
    """The app of the server: `plan` and `out` in the run's configuration name files on the server's machine."""
    one = ServerApp()

    @one.main()
    def _main(grid: Grid, context: Context) -> None:
        config = context.run_config
        terms = Terms(
            minimum=int(str(config["minimum"])), wait=float(str(config["wait"])), timeout=float(str(config["timeout"]))
        )
        serve(grid, Path(str(config["plan"])), Path(str(config["out"])), terms)

    return one


def serve(grid: Grid, plan_file: Path, out: Path, terms: Terms) -> None:
    """Train over a grid what a plan file says, and write the run folder `out`, or go on with it.

    Raises:
        DestinationError: `out` holds a finished run.
        TrainingError: as `federate`, and what is wrong with plan or base.
    """
    plan = read_plan(plan_file)
    if (out / RUN).is_file():
        message = f"{out} holds a finished run: name another folder with --out"
        raise DestinationError(message)
    started = _now()
    base = open_base(plan.model.base)
    # Refuses a base of unknown privacy before anything is spent.
    before = {} if plan.privacy is None else spent_before(base.folder)
    outcome = federate(grid, plan, base, terms, out / CHECKPOINTS)
    (out / "plan.toml").write_bytes(plan_file.read_bytes())
    stages = _write(outcome, plan, base, out)
    record = {
        "format": FORMAT,
        "name": plan.name,
        "regime": "federated",
        "method": plan.model.method.value,
        "holds": held_in(out),
        "base": plan.model.base,
        "base_sha256": base.digest,
        "orgs": outcome.organizations,
        "passes": plan.passes,
        "stages": [{"name": stage.name, "steps": stage.steps, "tokens": stage.tokens} for stage in stages],
        "validation_loss": outcome.validation_loss,
        "code_version": f"cleanroom {version('cleanroom')}",
        "seeds": [plan.seed],
        "privacy": None if plan.privacy is None else privacy_record(plan.privacy, before, spent_in(outcome)),
        "started": started,
        "ended": _now(),
        "parent": None,
    }
    (out / RUN).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(outcome: Outcome, plan: Plan, base: Base, out: Path) -> tuple[StageResult, ...]:
    """Write the model, and `federation.json`: rounds, organizations and refusals. What the rounds came to, as a stage.

    `adapter/` holds an adapter where the aggregate still is one, else `model/` a whole checkpoint.
    """
    model = model_of(outcome.matrices, base, plan.model)
    folder = out / (ADAPTER if isinstance(model, PeftModel) else MODEL)
    model.config.use_cache = True
    save(model, folder, plan.model.base, plan.model.precision)
    base.tokenizer.save_pretrained(folder)
    told = {
        "rounds": outcome.rounds,
        "organizations": outcome.organizations,
        "refusals": [dataclasses.asdict(refusal) for refusal in outcome.refusals],
        "validation_loss": outcome.validation_loss,
    }
    (out / "federation.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    examples, tokens = (sum(one[name] for one in outcome.organizations.values()) for name in ("examples", "tokens"))
    loss = float("nan") if outcome.validation_loss is None else outcome.validation_loss
    stopped = "validation loss" if outcome.reached else None
    return (StageResult("federation", examples, tokens, len(outcome.rounds), loss, None, stopped),)


app = server_app()
