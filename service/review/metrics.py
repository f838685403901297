"""What reviews measure of themselves. Knows no alert and no webhook; which organization it was is in no label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from service.review.alerts import AlertKind
from service.review.viewer import EVERYONE

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class ReviewMetrics:
    """Numbers of alerts and of the webhook; which key or organization it was is in the alert, and in no label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._alerts = Counter(
            "cleanroom_alerts_total", "Alerts raised over the ledger, by their kind.", ("alert",), registry=registry
        )
        self._deliveries = Counter(
            "cleanroom_webhook_deliveries_total",
            "Tries to tell a webhook of a leak or an alert, by whose it is and what came of it.",
            ("whose", "outcome"),
            registry=registry,
        )
        self._waiting = Gauge(
            "cleanroom_webhook_waiting", "Leaks and alerts that webhooks are still to be told.", registry=registry
        )
        self._waiting_for: dict[str, int] = {}
        for kind in AlertKind:
            self._alerts.labels(kind.value)
        for whose in ("operator", "organization"):
            for outcome in ("delivered", "failed"):
                self._deliveries.labels(whose, outcome)

    def raised(self, kind: AlertKind) -> None:
        """An alert is new."""
        self._alerts.labels(kind.value).inc()

    def tried(self, party: str, *, delivered: bool) -> None:
        """The webhook of a party was told, or could not be."""
        whose = "operator" if party == EVERYONE else "organization"
        self._deliveries.labels(whose, "delivered" if delivered else "failed").inc()

    def waiting(self, party: str, rows: int) -> None:
        """So many rows wait for the webhook of a party."""
        self._waiting_for[party] = rows
        self._waiting.set(sum(self._waiting_for.values()))
