"""Watches the ledger while the service runs: notices alerts, and has webhooks told of them and of leaks.

Nothing here holds up a completion, and whatever fails is tried again: the log and the metrics say so.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import structlog
from anyio import to_thread

from guard.errors import LedgerError
from service.review.hooks import AllowedHosts
from service.review.viewer import EVERYONE, Viewer
from service.review.webhook import PATIENCE, Webhook
from service.telemetry import describe_exception

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from service.parts import Services
    from service.review.reviews import Reviews

PACE = 2.0
"""Seconds between two looks at what there is to tell."""
ALERT_PACE = 60.0
OPERATOR = Viewer(EVERYONE, "", admin=True)

log = structlog.get_logger(__name__)


@asynccontextmanager
async def telling(services: Services) -> AsyncIterator[None]:
    """Watch the ledger meanwhile."""
    if services.reviews is None:
        yield
        return
    async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client:
        watch = _Watch(services, services.reviews, client)
        task = asyncio.create_task(watch.run())
        try:
            yield
        finally:
            await watch.end(task)


class _Watch:
    """Looks again and again. Each webhook is told by a task of its own: nobody waits for another's that is slow."""

    def __init__(self, services: Services, reviews: Reviews, client: httpx.AsyncClient) -> None:
        self._services, self._reviews, self._client = services, reviews, client
        self._metrics = services.metrics.reviews
        self._hosts = AllowedHosts(services.settings.org_webhook_hosts)
        self._begun = False
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        alerted = 0.0
        while True:
            if time.monotonic() - alerted >= ALERT_PACE or not alerted:
                alerted = time.monotonic()
                await _tried(self._notice())
            await _tried(self._start())
            await asyncio.sleep(PACE)

    async def end(self, task: asyncio.Task[None]) -> None:
        """Stop looking and telling."""
        tasks = [task, *self._tasks.values()]
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)

    async def _notice(self) -> None:
        for kind in await to_thread.run_sync(self._reviews.alerts.notice, datetime.now(UTC)):
            log.warning("alert", kind=kind.value)
            self._metrics.raised(kind)
        await to_thread.run_sync(self._reviews.exceptions.expire)

    async def _start(self) -> None:
        """Have every webhook told that is not being told just now."""
        for party, webhook in (await to_thread.run_sync(self._webhooks)).items():
            if party not in self._tasks or self._tasks[party].done():
                self._tasks[party] = asyncio.create_task(_tried(webhook.tell(self._client, self._metrics)))

    def _webhooks(self) -> dict[str, Webhook]:
        settings, reviews = self._services.settings, self._reviews
        found: dict[str, Webhook] = {}
        if settings.webhook_url is not None and settings.webhook_secret is not None:
            if not self._begun:
                reviews.outbox(OPERATOR).begin()
                self._begun = True
            secret = settings.webhook_secret.get_secret_value()
            found[EVERYONE] = Webhook(settings.webhook_url, secret, reviews, OPERATOR)
        hooks = reviews.hooks.all()
        there = {org.slug for org in self._services.accounts.organizations()} if hooks else set()
        for hook in hooks:
            viewer = Viewer(hook.org, "", identities=settings.review_identities)
            if hook.org not in there:
                log.info("webhook removed with its organization", org=hook.org)
                reviews.remove_hook(viewer)
                self._metrics.waiting(hook.org, 0)
            elif self._hosts.allow(hook.url):
                found[hook.org] = Webhook(hook.url, hook.secret, reviews, viewer)
        return found


async def _tried(work: Awaitable[None]) -> None:
    """Do it, or say why not: the next look may be luckier, and nobody else would look."""
    try:
        await work
    except LedgerError as error:
        log.warning("not watched", reason=str(error))
    except Exception as error:  # noqa: BLE001 - as above
        log.error("watching failed", **describe_exception(error))  # noqa: TRY400 - its message may name anything
