"""The federated regime: rounds of local training joined by a strategy. Flower's ServerApp, and the run in one process.

The server has the plan and its own copy of the base; it never sees a corpus. Knows no transport.
"""

from __future__ import annotations

import dataclasses
import json
import math
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.serverapp import ServerApp
from peft import PeftModel

from training.base import open_base, trainable
from training.errors import DestinationError, PlanError
from training.grid import LocalGrid
from training.log import At
from training.messages import Orders
from training.models import ADAPTER, MODEL, RUN, held_in, save
from training.node import client_app
from training.organization_privacy import organization_noise
from training.plan import Federated, Method
from training.plan_file import read_plan
from training.privacy import Account, Spending, spent_before
from training.privacy import record as privacy_record
from training.regimes import Trained
from training.rounds import STAGE, RoundLog, evaluate, note
from training.screening import Screen
from training.shared import from_record, model_of, no_update, to_record, weights_of
from training.stages import StageResult
from training.standing import STATE, Outcome, keep, resume
from training.strategies import Consortium, Ended, Terms, consortium, stays_factors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flwr.app import ArrayRecord, Context
    from flwr.serverapp import Grid

    from training.base import Base
    from training.plan import Plan
    from training.regimes import Work
    from training.updates import Update

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
    noise = organization_noise(plan, regime.rounds, base.folder)
    orders, record = _first(plan, base, regime, whole=not stays_factors(regime, noise))
    screen = _screen(plan, terms, orders)
    strategy = consortium(regime, plan.model.method, screen, terms, noise)
    strategy.target = plan.budget.validation_loss
    strategy.stop_above = None if plan.monitor is None else plan.monitor.stop_above
    outcome = Outcome(refusals=screen.refusals)
    if checkpoints is not None and (checkpoints / STATE).is_file():
        record = resume(checkpoints / STATE, strategy, outcome)
    strategy.record = record
    if noise is not None:
        noise.warn(record, len(plan.names))
    log = RoundLog(None if checkpoints is None else checkpoints.parent, strategy.rounds_before)

    def after_round(number: int, at: Consortium, updates: Sequence[Update]) -> None:
        note(outcome, number, updates)
        log.round(outcome.rounds[-1])
        if checkpoints is not None:
            keep(checkpoints / STATE, number, at, outcome)
        if on_round is not None:
            on_round(outcome.rounds[-1])

    strategy.after_round = after_round
    left = regime.rounds - strategy.rounds_before
    with closing(log):
        try:
            if left > 0:
                strategy.start(grid, record, left, terms.timeout, orders.to_config())
        except Ended as end:
            outcome.stopped = end.reason
        outcome.matrices = from_record(strategy.record)
        evaluate(grid, strategy, orders, outcome)
        log.end(outcome)
    if noise is not None:
        for one in outcome.organizations.values():
            one["spent"] = noise.spent(len(outcome.rounds))
    return outcome


def _screen(plan: Plan, terms: Terms, orders: Orders) -> Screen:
    """With the privacy of organizations no update may decide about another; the clip is what bounds it then."""
    full, told = plan.model.method is Method.FULL, orders.update_metrics()
    if plan.organization_privacy is not None:
        return Screen(plan.names, full, math.inf, math.inf, told)
    return Screen(plan.names, full, terms.norm_limit, metrics=told)


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
        work.report(At(STAGE, entry["round"], _regime(work.plan).rounds, entry["loss"]))

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


def _first(plan: Plan, base: Base, regime: Federated, *, whole: bool) -> tuple[Orders, ArrayRecord]:
    """The orders of all rounds, and what is shared before the first: of adapters factors, unless `whole`."""
    model = trainable(base, plan.model, plan.seed)
    shared = weights_of(model) if plan.model.method is Method.FULL else no_update(model, whole=whole)
    orders = Orders(
        base_digest=base.digest,
        model=plan.model,
        optimizer=plan.optimizer,
        data=plan.data,
        passes=regime.local_passes,
        seed=plan.seed,
        rounds=regime.rounds,
        privacy=plan.example_privacy,
        monitor=plan.monitor,
    )
    return orders, to_record(shared)


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
    before = {} if plan.privacy is None else spent_before(base.folder, plan.privacy.unit)
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
        "stages": [
            {
                "name": stage.name,
                "steps": stage.steps,
                "tokens": stage.tokens,
                "recited": stage.recited,
                "stopped": stage.stopped,
            }
            for stage in stages
        ],
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
        "recited": outcome.recited,
        "stopped": outcome.stopped,
    }
    (out / "federation.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    examples, tokens = (sum(one[name] for one in outcome.organizations.values()) for name in ("examples", "tokens"))
    loss = float("nan") if outcome.validation_loss is None else outcome.validation_loss
    most = max(outcome.recited.values(), default=None)
    return (StageResult(STAGE, examples, tokens, len(outcome.rounds), loss, most, outcome.stopped),)


app = server_app()
