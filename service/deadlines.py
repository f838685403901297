"""When an answer comes too late: as the client says, and at the latest as the settings say. Knows no route."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation of a dependency at run time

from service.errors import EngineTimeoutError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.parts import Services

HEADER = "X-Request-Timeout"


async def requested_deadline(request: Request) -> float:
    """A FastAPI dependency: when the answer must be there, by the event loop's clock.

    Clients may ask for less time than the server gives, not for more: an editor that shows nothing after a second need
    not keep the engine from others for a minute. Raises InvalidRequestError on what is no number of seconds.
    """
    services = cast("Services", request.app.state.services)
    longest = services.settings.request_timeout
    given = request.headers.get(HEADER, "").strip()
    try:
        seconds = float(given) if given else longest
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        message = f"the header {HEADER} is {given[:40]!r}: give the seconds that you wait, above 0, or leave it out"
        raise InvalidRequestError(message, param=HEADER)
    return asyncio.get_running_loop().time() + min(seconds, longest)


@asynccontextmanager
async def in_time(deadline: float) -> AsyncIterator[None]:
    """End what an engine is at when `deadline` comes, by the event loop's clock. Raises EngineTimeoutError then."""
    began = time.monotonic()
    try:
        # asyncio's timeout cancels once, so that closing a stream may itself wait; anyio's would not let it.
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        message = (
            f"the engine did not finish within the request's time, {time.monotonic() - began:.2f} s after it began "
            "(X-Request-Timeout, at most CLEANROOM_REQUEST_TIMEOUT)"
        )
        raise EngineTimeoutError(message) from None
