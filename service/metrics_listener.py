"""A listener of its own for metrics, in the event loop of the service.

Not on the port of the API, which a proxy shows to every organization; and readable while the database of keys is away,
which is when somebody looks. Knows nothing of what is read there.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from service.routes import metrics
from service.routes.failures import add_handlers
from service.routes.health import Parts

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator

    from service.parts import Services

# Seconds that a reader may still take once the service is told to stop.
GRACE = 1


def create_metrics_app(services: Services) -> FastAPI:
    """The application that metrics are read from: that one route, and nothing about it."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.services = services
    app.state.parts = Parts(services)
    add_handlers(app)
    app.include_router(metrics.router)
    return app


@asynccontextmanager
async def listening(services: Services, claimed: socket.socket | None) -> AsyncIterator[None]:
    """Answer on the listening socket `claimed` meanwhile; on none where that is None."""
    if claimed is None:
        yield
        return
    config = uvicorn.Config(
        create_metrics_app(services),
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = _Beside(config)
    task = asyncio.create_task(server.serve([claimed]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


class _Beside(uvicorn.Server):
    """A server beside another one, which is told of signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield
