"""Reads a plan file (TOML) and holds that it can be meant. Knows the sections' names, and nothing of models or data.

Each complaint names the file, the key, the value and what to write instead; all of them are told at once.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from training.errors import PlanError
from training.plan import OPTIONS, PACKAGED, Compartmentalized, Federated, Incremental, Method, Plan
from training.privacy import complaints

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAN = TypeAdapter(Plan)
_REGIMES = ("centralized", "incremental", "federated", "compartmentalized")


def read_plan(path: Path) -> Plan:
    """The plan in a TOML file; relative paths in it start at its folder.

    Raises:
        PlanError: the file cannot be read, is no TOML, or says what cannot be meant.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"the plan {path} cannot be read ({error.strerror}): name a TOML file"
        raise PlanError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"the plan {path} is no TOML: {error}"
        raise PlanError(message) from error
    return plan_of(raw, path)


def plan_of(raw: dict[str, Any], path: Path) -> Plan:
    """The plan in a table as TOML gives it; `path` is the file that errors name and whose folder paths start at.

    Raises PlanError with every complaint, a line each.
    """
    try:
        # By way of JSON, whose arrays and strings become tuples, paths and enumerations under strict validation, too.
        plan = _PLAN.validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        complaints = [_complaint(raw, details["loc"], details) for details in error.errors()]
        raise PlanError(_lines(path, complaints)) from error
    if complaints := list(_contradictions(plan)):
        raise PlanError(_lines(path, complaints))
    return _beside(plan, path.parent)


def _beside(plan: Plan, folder: Path) -> Plan:
    """The plan with absolute paths."""
    organizations = tuple(
        dataclasses.replace(one, corpus=(folder / one.corpus.expanduser()).absolute()) for one in plan.organizations
    )
    base = plan.model.base
    if base != PACKAGED and ((folder / base).exists() or base.startswith((".", "/", "~"))):
        base = str((folder / Path(base).expanduser()).absolute())
    return dataclasses.replace(plan, organizations=organizations, model=dataclasses.replace(plan.model, base=base))


def _lines(path: Path, complaints: list[str]) -> str:
    return "\n".join(f"{path}: {complaint}" for complaint in complaints)


def _complaint(raw: dict[str, Any], loc: tuple[int | str, ...], details: Any) -> str:  # noqa: ANN401 - pydantic's
    # The regime's kind is a step of pydantic's path, but none of the file's.
    steps = [step for at, step in enumerate(loc) if not (at == 1 and loc[0] == "regime" and step in _REGIMES)]
    where = _dotted(steps)
    match details["type"]:
        case "unexpected_keyword_argument":
            return f"{where} is unknown{_nearest(str(steps[-1]), _known(raw, steps[:-1]))}"
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"{where} is missing"
        case "union_tag_not_found":
            return f"{where}.kind is missing: write one of {', '.join(_REGIMES)}"
        case "union_tag_invalid":
            kind = str(details["ctx"]["tag"])
            return f"{where}.kind is {kind!r}{_nearest(kind, _REGIMES)}"
    return f"{where} is {_short(details['input'])}: {details['msg'][0].lower()}{details['msg'][1:]}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - a line's worth


def _dotted(steps: list[int | str]) -> str:
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the plan"


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f": did you mean {close[0]!r}?" if close else f": use {', '.join(known)}"


def _known(raw: dict[str, Any], steps: list[int | str]) -> tuple[str, ...]:
    """The keys of the section at `steps`."""
    section: type = Plan
    for step in steps:
        if isinstance(step, str):
            found = list(_sections(get_type_hints(section, include_extras=True)[step]))
            kind = raw["regime"].get("kind") if step == "regime" else None
            section = next((one for one in found if one.__name__.lower() == kind), found[0])
    return tuple(field.name for field in dataclasses.fields(section))


def _sections(hint: Any) -> Iterator[type]:  # noqa: ANN401 - any annotation
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for argument in get_args(hint):
        yield from _sections(argument)


def _contradictions(plan: Plan) -> Iterator[str]:
    """What is well-formed and cannot be meant."""
    names = plan.names
    if not names:
        yield "organizations: name at least one ([[organizations]] with name and corpus)"
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"organizations: two are called {twice[0]!r}: rename one"
    if isinstance(plan.regime, Incremental) and isinstance(plan.regime.order, tuple):
        yield from _misordered(plan.regime.order, names)
    if isinstance(plan.regime, Federated):
        yield from _misfederated(plan, plan.regime)
    if plan.model.strength < 1 and (plan.model.method is Method.FULL or isinstance(plan.regime, Federated)):
        yield f"model.strength is {plan.model.strength}: it weakens the adapter of a run that is no federation"
    if isinstance(plan.regime, Compartmentalized) and plan.model.method is Method.FULL:
        yield "model.method is 'full': a compartment is an adapter, so write method = \"lora\""
    batch, part = plan.optimizer.batch, plan.optimizer.micro_batch
    if part is not None and batch % part:
        yield f"optimizer.micro_batch is {part}: name a divisor of batch, which is {batch}"
    if isinstance(plan.model.targets, str) and plan.model.targets != "all-linear":
        yield f'model.targets is {plan.model.targets!r}: write "all-linear", or a list of names of modules'
    yield from complaints(plan)


def _misordered(order: tuple[str, ...], names: tuple[str, ...]) -> Iterator[str]:
    for name in order:
        if name not in names:
            yield f"regime.order names {name!r}, which is no organization of the plan{_nearest(name, names)}"
    missing = [name for name in names if name not in order]
    if missing or len(set(order)) < len(order):
        what = f"leaves out {missing[0]!r}" if missing else "names one organization twice"
        yield f'regime.order {what}: name every organization once, or write "size" or "diversity"'


def _misfederated(plan: Plan, regime: Federated) -> Iterator[str]:
    for name in regime.options.given():
        if name not in OPTIONS[regime.strategy]:
            known = ", ".join(sorted(OPTIONS[regime.strategy])) or "none"
            yield f"regime.options.{name} is not read by {regime.strategy}: it has {known}"
    if plan.budget.passes not in (None, plan.passes):
        yield (
            f"budget.passes is {plan.budget.passes}, but {regime.rounds} rounds of {regime.local_passes} passes are "
            f"{plan.passes}: make them equal, or leave it out"
        )
    if plan.data.repeat:
        yield "data.repeat names files, and the plan of a federation goes to every node: leave it out"
