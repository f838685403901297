"""The web application: routes, boundary and the engine's life, put together from the parts of a service.

Opens nothing but the engine; knows no settings but the sizes of bodies.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from anyio import CapacityLimiter
from fastapi import FastAPI

from service.auth import door_of
from service.console import routes as console
from service.console.failures import failure_page
from service.console.verification import Verifications
from service.errors import ServiceError
from service.feedback import Feedback
from service.metrics_listener import listening
from service.observation import Observation, observed
from service.offering import require_offered
from service.parts import Services
from service.pipeline import Pipeline
from service.review.telling import telling
from service.routes import (
    completions,
    documentation,
    exceptions,
    feedback,
    fim,
    freshness,
    health,
    index,
    infill,
    leaks,
    models,
    webhook,
)
from service.routes.boundary import Boundary
from service.routes.failures import add_handlers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Services", "create_app"]

log = structlog.get_logger(__name__)


def create_app(services: Services) -> FastAPI:
    """The application over `services`. It loads the engine when it starts and closes it when it ends.

    An error of the engine's start is left in `app.state.startup_error` for whoever runs the server, who may leave a
    listening socket for metrics in `app.state.metrics_socket`.
    """
    app = FastAPI(
        title="Cleanroom",
        lifespan=_lifespan,
        # FastAPI's own pages load scripts from elsewhere, which the boundary's policy forbids.
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.parts = health.Parts(services)
    app.state.pipeline = Pipeline(observed(services))
    app.state.door = door_of(services.accounts)
    app.state.feedback = Feedback(services.ledger, services.metrics.feedback)
    app.state.started = int(time.time())
    app.state.index_limiter = CapacityLimiter(index.WORKERS)
    app.state.review_limiter = CapacityLimiter(leaks.WORKERS)
    app.state.verifications = Verifications()
    app.state.startup_error = None
    app.state.metrics_socket = None
    other_limits = {index.DOCUMENTS: services.settings.max_index_bytes}
    settings = services.settings
    app.add_middleware(
        Boundary,
        max_body_bytes=settings.max_body_bytes,
        other_limits=other_limits,
        pages={"/console": failure_page} if settings.console else {},
        body_timeout=settings.body_timeout,
    )
    app.add_middleware(Observation, metrics=services.metrics)
    add_handlers(app)
    for part in (
        completions,
        fim,
        infill,
        models,
        freshness,
        feedback,
        index,
        leaks,
        exceptions,
        webhook,
        health,
        documentation,
    ):
        app.include_router(part.router)
    if settings.console:
        app.include_router(console.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    try:
        await services.engine.start()
        require_offered(services)
        if services.limits is not None:
            # Here, since it cannot be asked outside of this event loop: a user who may not count is an error at once.
            await services.limits.ready()
    except ServiceError as error:
        app.state.startup_error = error
        await _close(services)
        raise
    log.info("started", engine=services.engine.name, model=services.engine.model)
    try:
        async with listening(services, app.state.metrics_socket), telling(services):
            yield
    finally:
        await _close(services)
        log.info("stopped", **services.metrics.totals())


async def _close(services: Services) -> None:
    """Close the parts that live in this event loop."""
    await services.engine.close()
    if services.limits is not None:
        await services.limits.close()
