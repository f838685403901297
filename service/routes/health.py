"""`GET /healthz` and `GET /readyz`: whether the process lives, and whether it could answer.

Open to everyone, so they name parts and kinds of errors only; the log has the rest.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import structlog
from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import JSONResponse

from guard.errors import GuardError
from service.errors import ServiceError
from service.routes import examples
from service.schemas import PartState, Readiness

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from service.parts import Services

# Seconds after which a part that does not say whether it is ready is not.
READY_TIMEOUT = 5.0

log = structlog.get_logger(__name__)
router = APIRouter(tags=["health"])


@router.get("/healthz", responses=examples.of({"alive": examples.ALIVE}))
async def health() -> dict[str, str]:
    """The process is up and its event loop turns."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={
        **examples.of({"ready": examples.READY}),
        503: {"model": Readiness, **examples.of({"not ready": examples.NOT_READY}, 503)[503]},
    },
)
async def readiness(request: Request) -> JSONResponse:
    """200 when a completion could be given now, 503 with the parts that fail when not."""
    states = await cast("Parts", request.app.state.parts).states()
    ready = all(state.ready for state in states.values())
    body = Readiness(ready=ready, parts=states)
    return JSONResponse(body.model_dump(), HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


class Parts:
    """The parts of a service, asked once for all who want to know meanwhile. Belongs to one event loop.

    Whoever has no key may ask as well, and each question takes threads and round trips that checks need.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asking: asyncio.Task[dict[str, PartState]] | None = None

    async def states(self) -> dict[str, PartState]:
        """Whether each part could do its work now; takes READY_TIMEOUT seconds at most."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_part_states(self._services))
        return await asyncio.shield(self._asking)


async def _part_states(services: Services) -> dict[str, PartState]:
    checks: dict[str, Awaitable[None]] = {
        "index": to_thread.run_sync(services.guard.ready, abandon_on_cancel=True),
        "ledger": to_thread.run_sync(services.ledger.ready, abandon_on_cancel=True),
        "accounts": to_thread.run_sync(services.accounts.ready, abandon_on_cancel=True),
        "engine": services.engine.ready(),
    }
    if services.release is not None:
        checks["release"] = to_thread.run_sync(services.release.require_standing, abandon_on_cancel=True)
    if services.limits is not None:
        checks["limits"] = services.limits.ready()
    states = await asyncio.gather(*(_state(part, check) for part, check in checks.items()))
    return dict(zip(checks, states, strict=True))


async def _state(part: str, check: Awaitable[None]) -> PartState:
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            await check
    except (GuardError, ServiceError, TimeoutError) as error:
        log.warning("not ready", part=part, error=type(error).__name__, reason=str(error))
        return PartState(ready=False, reason=type(error).__name__)
    return PartState(ready=True)
