"""What crosses between the server of a federation and a node, field by field. Knows no model and no transport.

Orders go out, updates come back. An update holds arrays, counts, losses, the organization's name and its corpus'
digest; nothing else, by construction.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Annotated

from flwr.app import ConfigRecord, MetricRecord, RecordDict
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from training.errors import FederationError, NodeRefusalError
from training.plan import (  # noqa: TC001 - pydantic reads annotations at run time
    Count,
    DataPlan,
    ModelPlan,
    MonitorPlan,
    NotNegative,
    OptimizerPlan,
    Positive,
    PrivacyPlan,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flwr.app import ArrayRecord

ARRAYS, CONFIG, METRICS, IDENTITY = "arrays", "config", "metrics", "identity"
"""The records of a message. The first two are Flower's names."""
EXAMPLES = "num-examples"
"""The weight of an update; Flower's name."""
UPDATE_METRICS = (EXAMPLES, "tokens", "loss", "validation-loss", "validation-tokens")
PRIVACY_METRICS = ("noise-multiplier", "sample-rate", "private-steps", "private-steps-made")
"""Of an update that was trained with privacy, besides: the budget of the run at this node, and what is spent of it."""
RECITED = "recited"
"""The share of a node's sample that what it received continues word for word (`training.monitor`), 0 to 1."""
WATCHED_METRICS = (RECITED, "recited-trained")
"""Of an update where the plan watches memorization, besides: of what was received, and of the node's own update of it.

Of an evaluation the first alone.
"""
EVALUATION_METRICS = (EXAMPLES, "validation-tokens", "validation-loss")
IDENTITY_FIELDS = ("organization", "corpus-sha256")

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Orders:
    """How a node shall train. `base_digest` names the base and tokenizer; where they lie is the node's affair."""

    base_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    model: ModelPlan
    optimizer: OptimizerPlan
    data: DataPlan
    passes: Positive
    seed: Annotated[int, Field(ge=0)]
    server_round: Count = 1
    proximal: NotNegative = 0.0
    rounds: Count = 1
    privacy: PrivacyPlan | None = None
    monitor: MonitorPlan | None = None

    def update_metrics(self) -> tuple[str, ...]:
        """The metrics of an update under these orders."""
        private = () if self.privacy is None else PRIVACY_METRICS
        return (*UPDATE_METRICS, *private, *(() if self.monitor is None else WATCHED_METRICS))

    def evaluation_metrics(self) -> tuple[str, ...]:
        """The metrics of an evaluation under these orders."""
        return (*EVALUATION_METRICS, *(() if self.monitor is None else (RECITED,)))

    def to_config(self) -> ConfigRecord:
        """For the wire, without the name of the base, which may be a path."""
        plain = dataclasses.asdict(dataclasses.replace(self, model=dataclasses.replace(self.model, base="agreed")))
        return ConfigRecord({"orders": json.dumps(plain)})


_ORDERS = TypeAdapter(Orders)


def orders_in(content: RecordDict) -> Orders:
    """The orders in a message; the round and FedProx' mu stand where Flower's strategies put them.

    Raises:
        NodeRefusalError: they are missing or not understood.
    """
    config = content.config_records.get(CONFIG, ConfigRecord())
    try:
        orders = _ORDERS.validate_json(str(config["orders"]))
        return dataclasses.replace(
            orders, server_round=int(str(config["server-round"])), proximal=float(str(config.get("proximal-mu", 0.0)))
        )
    except (KeyError, ValueError, ValidationError) as error:
        message = "orders are missing or not understood: let server and nodes run one version"
        raise NodeRefusalError(message) from error


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who answers: the organization's name, and the digest of its corpus' manifest."""

    organization: str
    corpus_sha256: str

    def to_config(self) -> ConfigRecord:
        """For the wire."""
        return ConfigRecord({"organization": self.organization, "corpus-sha256": self.corpus_sha256})


def answer(metrics: Mapping[str, float], identity: Identity, arrays: ArrayRecord | None = None) -> RecordDict:
    """What a node sends: an update with `arrays`, an evaluation without.

    Raises:
        FederationError: a metric that is not on the list. A new one is entered above, and in the documents, on purpose.
    """
    first, more = (
        (EVALUATION_METRICS, ((RECITED,),)) if arrays is None else (UPDATE_METRICS, (PRIVACY_METRICS, WATCHED_METRICS))
    )
    allowed = (first, *((*first, *some) for some in more))
    if tuple(metrics) not in allowed:
        message = f"a node sends {list(allowed[0])}, and not {list(metrics)}"
        raise FederationError(message)
    records: dict[str, ArrayRecord | MetricRecord | ConfigRecord] = {
        METRICS: MetricRecord(dict(metrics)),
        IDENTITY: identity.to_config(),
    }
    return RecordDict(records if arrays is None else {ARRAYS: arrays, **records})


def identity_in(content: RecordDict) -> Identity:
    """Who sent an answer.

    Raises:
        FederationError: it does not say.
    """
    record = content.config_records.get(IDENTITY, ConfigRecord())
    organization, digest = (record.get(name) for name in IDENTITY_FIELDS)
    if not isinstance(organization, str) or not isinstance(digest, str):
        message = "it does not say whose it is"
        raise FederationError(message)
    return Identity(organization, digest)


def metrics_in(content: RecordDict, names: tuple[str, ...]) -> dict[str, float]:
    """The metrics of an answer.

    Raises:
        FederationError: one is missing, too many, no number, not finite, negative, or a share above 1, or the weight
            is not positive.
    """
    record = content.metric_records.get(METRICS, MetricRecord())
    if set(record) != set(names):
        message = f"it has the metrics {sorted(record)}, and not {sorted(names)}"
        raise FederationError(message)
    metrics: dict[str, float] = {}
    for name, value in record.items():
        least, most = (1 if name == EXAMPLES else 0), (1 if name in WATCHED_METRICS else math.inf)
        if isinstance(value, list) or not math.isfinite(value) or not least <= value <= most:
            message = f"its {name} is {value}"
            raise FederationError(message)
        metrics[name] = float(value)
    return metrics
