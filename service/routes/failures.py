"""How every failure looks to a client: one JSON shape, and no more in it than the client may know.

Knows no route; decides nothing about a request that succeeds.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.errors import EngineError, ServiceError
from service.schemas import ErrorBody, ErrorDetail
from service.telemetry import describe_exception

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

UNFORESEEN = "the service failed in a way that it did not foresee: the administrator's log has the request's id"
NOT_JSON = "the body is not JSON"
NOT_AN_OBJECT = "the body is no JSON object: send one, with the header 'Content-Type: application/json'"
CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_TIMEOUT: "body_timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
}

log = structlog.get_logger(__name__)


def failure(status: int, detail: ErrorDetail, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for a failure."""
    return JSONResponse(ErrorBody(error=detail).model_dump(), status_code=status, headers=headers)


def add_handlers(app: FastAPI) -> None:
    """Give every failure its shape. Exceptions that none of these foresees are the boundary's."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


async def _service_error(request: Request, error: Exception) -> JSONResponse:
    """An error that we raised."""
    assert isinstance(error, ServiceError)  # noqa: S101 - the handler's registration says so; this tells mypy
    request.app.state.services.metrics.failed(error)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return failure(error.status, detail_of(error), headers)


def detail_of(error: ServiceError) -> ErrorDetail:
    """What a client may know of an error that we raised; what is ours to mend goes to the log."""
    if error.retry_after is not None:
        # By rule: nothing is broken, and under load these are most of the answers.
        log.info("turned away", error=type(error).__name__, status=error.status)
    elif error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("failed", error=type(error).__name__, status=error.status, **_why(error))
    return ErrorDetail(message=error.public or error.message, type=error.type, param=error.param, code=error.code)


def _why(error: ServiceError) -> dict[str, object]:
    """What the log says of a failure's reason. An engine's words may quote the prompt: of its errors, the places."""
    return describe_exception(error) if isinstance(error, EngineError) else {"reason": error.message}


def unforeseen(error: Exception) -> ErrorDetail:
    """What a client may know of any other error: nothing but that; the log gets where it was, not what it said."""
    log.error("unforeseen", **describe_exception(error))
    return ErrorDetail(message=UNFORESEEN, type="server_error", code="internal_error")


async def _validation_error(_: Request, error: Exception) -> JSONResponse:
    """A body that does not fit the schema: its first fault, never the value, which may be source text."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    fault = error.errors()[0]
    param = ".".join(str(part) for part in fault["loc"][1:]) or None
    if fault["type"] == "json_invalid":
        message, param = f"{NOT_JSON}: {fault['ctx']['error']} at character {fault['loc'][-1]}", None
    elif param is None:
        message = NOT_AN_OBJECT
    else:
        message = f"{param}: {fault['msg'].removeprefix('Value error, ')}"
    detail = ErrorDetail(message=message, type="invalid_request_error", param=param, code="invalid_request")
    return failure(HTTPStatus.BAD_REQUEST, detail)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself answers: no such route, no such method, a body that cannot be read."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    message = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = f"there is no {request.url.path[:200]!r} here: see the documentation for the routes"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"{request.method} is not possible on {request.url.path[:200]!r}"
    elif error.status_code == HTTPStatus.BAD_REQUEST:
        message = NOT_JSON
    code = CODES.get(HTTPStatus(error.status_code), "invalid_request")
    detail = ErrorDetail(message=message, type="invalid_request_error", code=code)
    return failure(error.status_code, detail, error.headers)
