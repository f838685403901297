"""How far a federation is, and what it came to: written after each round, so that an interrupted one goes on.

Knows the strategies' state, and nothing of nodes or grids.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
from flwr.app import Array, ArrayRecord
from flwr.serverapp.strategy.fedopt import FedOpt

from training.screening import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from training.strategies import Consortium

STATE = "federation.safetensors"
"""The checkpoint of a federation, in the run folder's `checkpoints`."""


@dataclass(slots=True)
class Outcome:
    """What a federation came to.

    `matrices`: what is shared in the end (`training.shared`). `rounds`: one entry a round, for the run's log.
    `organizations`: corpus digest, examples and tokens, of those that took part. `validation_loss`: of the end, which
    is that of the plan if `stopped` says so. `recited`: by organization, the share of its sample that the end recites.
    `stopped`: "validation loss" or "memorization", where that ended the run before its rounds did.
    """

    matrices: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    organizations: dict[str, dict[str, Any]] = field(default_factory=dict)
    validation_loss: float | None = None
    recited: dict[str, float] = field(default_factory=dict)
    stopped: str | None = None


def keep(path: Path, number: int, strategy: Consortium, outcome: Outcome) -> None:
    """Write a round's end; a reader sees the old file or the new one."""
    tensors = {f"shared/{name}": array.numpy() for name, array in strategy.record.items()}
    if isinstance(strategy.inner, FedOpt):
        for moment in ("m_t", "v_t"):
            state = getattr(strategy.inner, moment) or {}
            tensors |= {f"{moment}/{name}": np.asarray(values) for name, values in state.items()}
    noted = {
        "round": number,
        "norms": strategy.screen.norms,
        "rounds": outcome.rounds,
        "organizations": outcome.organizations,
        "refusals": [dataclasses.asdict(refusal) for refusal in outcome.refusals],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    safetensors.numpy.save_file(tensors, part, metadata={"federation": json.dumps(noted)})
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(path)


def resume(path: Path, strategy: Consortium, outcome: Outcome) -> ArrayRecord:
    """Bring a strategy to where a federation was interrupted; what was shared then."""
    with safetensors.safe_open(path, framework="numpy") as opened:
        noted = json.loads(opened.metadata()["federation"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    strategy.rounds_before = noted["round"]
    strategy.screen.norms = noted["norms"]
    outcome.refusals.extend(Refusal(**refusal) for refusal in noted["refusals"])
    outcome.rounds, outcome.organizations = noted["rounds"], noted["organizations"]
    if isinstance(strategy.inner, FedOpt):
        for moment in ("m_t", "v_t"):
            setattr(strategy.inner, moment, _under(tensors, moment) or None)
    return ArrayRecord({name: Array(values) for name, values in _under(tensors, "shared").items()})


def _under(tensors: dict[str, Any], head: str) -> dict[str, Any]:
    return {name.removeprefix(head + "/"): values for name, values in tensors.items() if name.startswith(head + "/")}
