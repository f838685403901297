"""One webhook: posts what its outbox holds, signed, as its viewer sees it. Knows no other webhook."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from anyio import to_thread

from service.errors import NotFoundError
from service.review.outbox import ALERT

if TYPE_CHECKING:
    from service.review.metrics import ReviewMetrics
    from service.review.outbox import Waiting
    from service.review.reviews import Reviews
    from service.review.viewer import Viewer

SETTLED = timedelta(seconds=2)
"""An entry of that age has no older one behind it that is still being written."""
PATIENCE = 10.0
"""Seconds that a webhook may take for each step of an answer, and twice as long for all of it."""

log = structlog.get_logger(__name__)


class Webhook:
    """Whoever is told, by POST."""

    def __init__(self, url: str, secret: str, reviews: Reviews, viewer: Viewer) -> None:
        self._url = url
        self._secret = secret.encode()
        self._reviews = reviews
        self._viewer = viewer
        self._outbox = reviews.outbox(viewer)

    async def tell(self, client: httpx.AsyncClient, metrics: ReviewMetrics) -> None:
        """Tell all that is due, as long as it is heard. Raises LedgerError."""
        outbox = self._outbox
        waiting = await to_thread.run_sync(outbox.collect, datetime.now(UTC) - SETTLED)
        metrics.waiting(self._viewer.party, waiting)
        for row in await to_thread.run_sync(outbox.take, time.time()):
            delivered = await self._post(client, row)
            metrics.tried(self._viewer.party, delivered=delivered)
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
            # Its head is enough: nobody makes us read a body without end.
            async with (
                asyncio.timeout(2 * PATIENCE),
                client.stream("POST", self._url, content=body, headers=headers) as reply,
            ):
                status, heard = reply.status_code, reply.is_success
        except (httpx.HTTPError, TimeoutError) as error:
            log.warning("webhook not reached", error=type(error).__name__, attempts=row.attempts + 1)
            return False
        if not heard:
            log.warning("webhook refused", status=status, attempts=row.attempts + 1)
        return heard

    def _subject(self, row: Waiting) -> dict[str, Any] | None:
        """What a row names, read now."""
        if row.kind == ALERT:
            alert = self._reviews.alerts.get(self._viewer, int(row.subject))
            return None if alert is None else alert.to_json()
        try:
            return self._reviews.get(self._viewer, row.subject).to_json()
        except NotFoundError:
            return None


def signature(secret: bytes, body: bytes, seconds: int) -> str:
    """The header's value: the time and the HMAC-SHA-256, in hex, of the time, a point and the body."""
    signed = hmac.new(secret, str(seconds).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={signed}"
