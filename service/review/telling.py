"""Watches the ledger while the service runs: notices alerts, and tells a webhook of them and of leaks.

Nothing here holds up a completion, and whatever fails is tried again: the log and the metrics say so.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from anyio import to_thread
from prometheus_client import Counter, Gauge

from guard.errors import LedgerError
from service.errors import NotFoundError
from service.review.alerts import AlertKind
from service.review.outbox import ALERT
from service.review.viewer import EVERYONE, Viewer
from service.telemetry import describe_exception

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client import CollectorRegistry

    from service.parts import Services
    from service.review.outbox import Waiting
    from service.review.reviews import Reviews

PACE = 2.0
"""Seconds between two looks at the outbox."""
ALERT_PACE = 60.0
SETTLED = timedelta(seconds=2)
"""An entry of that age has no older one behind it that is still being written."""
PATIENCE = 10.0
"""Seconds that a webhook may take."""
OPERATOR = Viewer(EVERYONE, "", admin=True)

log = structlog.get_logger(__name__)


class ReviewMetrics:
    """Numbers of alerts and of the webhook; which key or organization it was is in the alert, and in no label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._alerts = Counter(
            "cleanroom_alerts_total", "Alerts raised over the ledger, by their kind.", ("alert",), registry=registry
        )
        self._deliveries = Counter(
            "cleanroom_webhook_deliveries_total",
            "Tries to tell the webhook of a leak or an alert, by what came of it.",
            ("outcome",),
            registry=registry,
        )
        self._waiting = Gauge(
            "cleanroom_webhook_waiting", "Leaks and alerts that the webhook is still to be told.", registry=registry
        )
        for kind in AlertKind:
            self._alerts.labels(kind.value)
        for outcome in ("delivered", "failed"):
            self._deliveries.labels(outcome)

    def raised(self, kind: AlertKind) -> None:
        """An alert is new."""
        self._alerts.labels(kind.value).inc()

    def tried(self, *, delivered: bool) -> None:
        """The webhook was told, or could not be."""
        self._deliveries.labels("delivered" if delivered else "failed").inc()

    def waiting(self, rows: int) -> None:
        """So many rows wait."""
        self._waiting.set(rows)


@asynccontextmanager
async def telling(services: Services) -> AsyncIterator[None]:
    """Watch the ledger meanwhile."""
    if services.reviews is None:
        yield
        return
    task = asyncio.create_task(_watch(services, services.reviews))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(services: Services, reviews: Reviews) -> None:
    url, secret = services.settings.webhook_url, services.settings.webhook_secret
    webhook = None if url is None or secret is None else Webhook(url, secret.get_secret_value(), reviews)
    metrics, alerted, begun = services.metrics.reviews, 0.0, False
    async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client:
        while True:
            try:
                if time.monotonic() - alerted >= ALERT_PACE or not alerted:
                    alerted = time.monotonic()
                    for kind in await to_thread.run_sync(reviews.alerts.notice, datetime.now(UTC)):
                        log.warning("alert", kind=kind.value)
                        metrics.raised(kind)
                    await to_thread.run_sync(reviews.exceptions.expire)
                if webhook is not None:
                    if not begun:
                        await to_thread.run_sync(reviews.outbox.begin)
                        begun = True
                    await webhook.tell(client, metrics)
            except LedgerError as error:
                log.warning("not watched", reason=str(error))
            except Exception as error:  # noqa: BLE001 - the next look may be luckier, and nobody else would look
                log.error("watching failed", **describe_exception(error))  # noqa: TRY400 - its message may name anything
            await asyncio.sleep(PACE)


class Webhook:
    """Whoever is told, by POST."""

    def __init__(self, url: str, secret: str, reviews: Reviews) -> None:
        self._url = url
        self._secret = secret.encode()
        self._reviews = reviews

    async def tell(self, client: httpx.AsyncClient, metrics: ReviewMetrics) -> None:
        """Tell all that is due, as long as it is heard. Raises LedgerError."""
        outbox = self._reviews.outbox
        metrics.waiting(await to_thread.run_sync(outbox.collect, datetime.now(UTC) - SETTLED))
        for row in await to_thread.run_sync(outbox.take, time.time()):
            delivered = await self._post(client, row)
            metrics.tried(delivered=delivered)
            if delivered:
                await to_thread.run_sync(outbox.told, row)
            else:
                await to_thread.run_sync(outbox.failed, row, time.time())

    async def _post(self, client: httpx.AsyncClient, row: Waiting) -> bool:
        told = await to_thread.run_sync(self._subject, row)
        if told is None:
            return True  # redacted since: there is nothing left to tell
        body = json.dumps({"type": row.kind, "delivery": row.id, row.kind: told}, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Cleanroom-Delivery": str(row.id),
            "X-Cleanroom-Signature": signature(self._secret, body, int(time.time())),
        }
        try:
            reply = await client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            log.warning("webhook not reached", error=type(error).__name__, attempts=row.attempts + 1)
            return False
        if not reply.is_success:
            log.warning("webhook refused", status=reply.status_code, attempts=row.attempts + 1)
        return reply.is_success

    def _subject(self, row: Waiting) -> dict[str, Any] | None:
        """What a row names, read now."""
        if row.kind == ALERT:
            alert = self._reviews.alerts.get(int(row.subject))
            return None if alert is None else alert.to_json()
        try:
            return self._reviews.get(OPERATOR, row.subject).to_json()
        except NotFoundError:
            return None


def signature(secret: bytes, body: bytes, seconds: int) -> str:
    """The header's value: the time and the HMAC-SHA-256, in hex, of the time, a point and the body."""
    signed = hmac.new(secret, str(seconds).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={signed}"
