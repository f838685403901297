"""How old the part of the ledger is that no exported head covers, as a number for Prometheus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from prometheus_client import Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from service.heads.keeper import HeadKeeper


class HeadMetrics:
    """NaN, which no alert is about, where heads are not exported."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._age = Gauge(
            "cleanroom_ledger_head_age_seconds",
            "Seconds since the oldest entry of the ledger that no exported head covers; 0 where all are covered.",
            registry=registry,
        )
        self._age.set(math.nan)

    def follow(self, keeper: HeadKeeper | None) -> None:
        """Ask `keeper` whenever somebody reads the metrics."""
        if keeper is not None:
            self._age.set_function(lambda: keeper.age)
