"""The trainings that are compared, as plans of `cleanroom train`: regimes at equal passes and at equal validation loss.

Every arm begins at one base, has one optimizer and one budget; what differs is the regime. Trains nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PASSES, LOSS = "equal passes", "equal validation loss"


@dataclass(frozen=True, slots=True)
class Training:
    """What all arms share. `rounds` of a federation make up `passes`; `longer`: times as long, for the longer arm.

    `server_rate`: of FedYogi; `rank`: of the compartments' adapters.
    """

    passes: int
    rounds: int
    learning_rate: float
    batch: int
    block: int
    server_rate: float
    longer: int = 3
    rank: int = 32


@dataclass(frozen=True, slots=True)
class Arm:
    """One training. `name`: of its folder, without the seed; `regime`: of the table; `budget`: what it ends by."""

    name: str
    regime: str
    budget: str
    kind: Mapping[str, Any]
    times: int = 1


_FEDAVG = {"kind": "federated", "strategy": "fedavg"}
_FEDYOGI = {"kind": "federated", "strategy": "fedyogi"}
_INCREMENTAL = {"kind": "incremental"}
_CENTRALIZED = {"kind": "centralized"}


def arms(settings: Training) -> list[Arm]:
    """All arms, those at equal passes first: the loss that the others aim at is read off them."""
    return [
        Arm("centralized", "centralized", PASSES, _CENTRALIZED),
        Arm("incremental", "incremental", PASSES, _INCREMENTAL),
        Arm("fedavg", "FedAvg", PASSES, _FEDAVG),
        Arm("fedyogi", "FedYogi", PASSES, _FEDYOGI),
        Arm("compartments", "compartmentalized", PASSES, {"kind": "compartmentalized"}),
        Arm("fedavg-longer", f"FedAvg, {settings.longer} times as long", PASSES, _FEDAVG, settings.longer),
        Arm("centralized-loss", "centralized", LOSS, _CENTRALIZED),
        Arm("incremental-loss", "incremental", LOSS, _INCREMENTAL),
        Arm("fedavg-loss", "FedAvg", LOSS, _FEDAVG),
        Arm("fedyogi-loss", "FedYogi", LOSS, _FEDYOGI),
    ]


def plan_text(
    arm: Arm, seed: int, base: Path, corpora: Mapping[str, Path], settings: Training, target: float | None
) -> str:
    """The plan of an arm; `target`: the validation loss, in nats a token, at which one of equal loss ends."""
    federated, apart = arm.kind["kind"] == "federated", arm.kind["kind"] == "compartmentalized"
    regime = dict(arm.kind)
    if federated:
        regime |= {"rounds": settings.rounds * arm.times, "local_passes": settings.passes / settings.rounds}
    if arm.kind["kind"] == "incremental":
        regime["order"] = list(corpora)
    # Once a pass: the held-out code is longer than what is trained on, and looked at in every arm.
    budget: dict[str, Any] = {} if federated else {"passes": settings.passes * arm.times, "checks": 1}
    if arm.budget == LOSS:
        budget["validation_loss"] = target
        if arm.kind["kind"] == "centralized":
            # It is there within a pass or two: looked at once a pass it would end below the others' loss.
            budget["checks"] = 8
    sections: dict[str, dict[str, Any]] = {
        "model": {"base": str(base), "method": "lora" if apart else "full", "device": "cpu", "rank": settings.rank,
                  "alpha": 2 * settings.rank},
        "regime": regime,
        "budget": budget,
        "optimizer": {"learning_rate": settings.learning_rate, "batch": settings.batch,
                      "block": settings.block},
        # What several hold is to be seen as often as they hold it, in every regime; and all of it from everywhere, so
        # that what a model knows by heart can be drawn out.
        "data": {"deduplicate": False, "row_starts": "random"},
    }  # fmt: skip
    if arm.kind.get("strategy") == "fedyogi":
        sections["regime.options"] = {"eta": settings.server_rate}
    return written(f"{arm.name}-{seed}", seed, sections, corpora)


def written(name: str, seed: int, sections: Mapping[str, Mapping[str, Any]], corpora: Mapping[str, Path]) -> str:
    """A plan as TOML, whose strings, numbers, booleans and lists are JSON's."""
    lines = [f"name = {json.dumps(name)}", f"seed = {seed}"]
    for section, keys in sections.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    for org, corpus in corpora.items():
        lines += ["[[organizations]]", f"name = {json.dumps(org)}", f"corpus = {json.dumps(str(corpus))}"]
    return "\n".join(lines) + "\n"
