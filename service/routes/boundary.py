"""Where requests enter and responses leave: ids, body limits, headers, the log line, and failures nobody foresaw.

Knows no route and reads no body; it only counts its bytes.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from service.metrics import known_method
from service.routes.failures import failure, unforeseen
from service.schemas import ErrorDetail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    FailurePage = Callable[[Scope, HTTPStatus, ErrorDetail], ASGIApp]

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

log = structlog.get_logger(__name__)


class Boundary:
    """ASGI middleware around the whole application.

    Bodies may have `max_body_bytes`, or a path's own limit, and `body_timeout` seconds to come. What a dependency puts
    into `request.state.headers` goes out with every response, also with a failure.

    Starlette's own body limit answers in plain text where a route reads no body, and is missing from the versions
    that share an environment with Flower; every failure here has the shape of the others: JSON, or below a path of
    `pages` what people read.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        other_limits: Mapping[str, int] | None = None,
        pages: Mapping[str, FailurePage] | None = None,
        *,
        body_timeout: float,
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._other_limits = other_limits or {}
        self._pages = pages or {}
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in {**HEADERS, **scope.get("state", {}).get("headers", {})}.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._pass(scope, receive, send_marked)
        except Exception as error:  # noqa: BLE001 - whatever it is, its message may quote a prompt
            detail = unforeseen(error)
            if status == 0:
                await self._failure(scope, HTTPStatus.INTERNAL_SERVER_ERROR, detail)(scope, receive, send_marked)
        finally:
            route = getattr(scope.get("route"), "path", None)
            milliseconds = round((time.monotonic() - began) * 1000, 1)
            log.info("request", method=known_method(scope["method"]), route=route, status=status, ms=milliseconds)

    def _failure(self, scope: Scope, status: HTTPStatus, detail: ErrorDetail) -> ASGIApp:
        """What answers a request that came to no route, or out of one by an error."""
        for path, shown in self._pages.items():
            if f"{scope['path']}/".startswith(f"{path}/"):
                return shown(scope, status, detail)
        return failure(status, detail)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold the limits of bodies: of the size, by what the client declares and by what it sends, and of the time."""
        limit = self._other_limits.get(scope["path"], self._max_body_bytes)
        message = f"the body is larger than {limit} bytes, the limit of this server: send less at a time"
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            detail = ErrorDetail(message=message, type="invalid_request_error", code="body_too_large")
            await self._failure(scope, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)(scope, receive, send)
            return
        received, more = 0, True
        deadline = asyncio.get_running_loop().time() + self._body_timeout

        async def receive_limited() -> Message:
            nonlocal received, more
            try:
                # What comes after the body is the client's leaving, for which there is no hurry.
                async with asyncio.timeout_at(deadline if more else None):
                    part = await receive()
            except TimeoutError:
                slow = f"the body did not come within {self._body_timeout:g} s: send less at a time"
                # FastAPI lets only this class through while it reads a body.
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, slow, {"Connection": "close"}) from None
            more = bool(part.get("more_body"))
            received += len(part.get("body", b""))
            if received > limit:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
            return part

        await self._app(scope, receive_limited, send)
