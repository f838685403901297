"""A webhook that listens, and one that is told whenever a test says so."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client import CollectorRegistry

from service.review.metrics import ReviewMetrics
from service.review.telling import OPERATOR
from service.review.webhook import Webhook

if TYPE_CHECKING:
    from service.review.reviews import Reviews
    from service.review.viewer import Viewer

SECRET = "a secret of the webhook"


class Hook:
    """Listens on loopback; answers `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.heard: list[tuple[dict[str, str], bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.heard.append((dict(self.headers), body))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.heard]


class Teller:
    """Tells a webhook once whenever asked to."""

    def __init__(self, reviews: Reviews, url: str, viewer: Viewer = OPERATOR) -> None:
        self.registry = CollectorRegistry()
        self.metrics = ReviewMetrics(self.registry)
        self.reviews = reviews
        self.webhook = Webhook(url, SECRET, reviews, viewer)
        reviews.outbox(viewer).begin()

    def tell(self) -> None:
        async def once() -> None:
            async with httpx.AsyncClient(timeout=30) as client:
                await self.webhook.tell(client, self.metrics)

        asyncio.run(once())

    def number(self, name: str, **labels: str) -> float:
        if labels:
            labels["whose"] = "operator"
        return self.registry.get_sample_value(name, labels) or 0.0
