"""`GET /openapi.json` and `GET /docs`: what can be asked of the service, for machines and for people.

Open to everyone: it says what every copy of Cleanroom says. Knows the routes by what they declare.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import HTMLResponse, JSONResponse

from service.errors import (
    AuthenticationError,
    EngineError,
    EngineTimeoutError,
    GuardUnavailableError,
    IndexMismatchError,
    InvalidRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from service.reference import STYLE_HASH, render
from service.routes.examples import NAME
from service.routes.failures import UNFORESEEN
from service.schemas import ErrorBody, ErrorDetail

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that ask for no key."""
NAMING = frozenset({("post", "/v1/exceptions"), ("get", "/v1/webhook")})
"""Operations that may find nothing, though their path has no name in it."""
DESCRIPTION = (
    "Code completions that a guard has compared with what organizations keep private and with licence-restricted code. "
    "A completion leaves whole, cut back to its clean beginning, or not at all; the header X-Cleanroom-Decision names "
    "the guard's decision. Text under a licence that allows it comes with a citation (content_filter_results). Every "
    "error has the same shape."
)
_INVALID = InvalidRequestError.type
_FAILED = (
    InvalidRequestError("max_tokens 9999 is above the limit of this server: ask for at most 2048", param="max_tokens"),
    AuthenticationError("no API key was given: send the header 'Authorization: Bearer cr_...'"),
    PermissionDeniedError("key k1 lacks the scope 'complete': ask your administrator for one that has it"),
    ModelNotFoundError(f"model 'other' is not served here: ask for {NAME!r} (GET /v1/models)", param="model"),
    IndexMismatchError(f"the batch was made with another index key: {IndexMismatchError.remedy}"),
    RateLimitError("the key has made 60 requests in a minute: wait, or ask your administrator for more", retry_after=9),
    EngineError(""),
    GuardUnavailableError(""),
    EngineTimeoutError(""),
)
_TOO_LARGE = "the body is larger than 1048576 bytes, the limit of this server: send less at a time"
ERRORS = {
    **{
        error.status: ErrorDetail(
            message=error.public or error.message, type=error.type, param=error.param, code=error.code
        )
        for error in _FAILED
    },
    408: ErrorDetail(message="the body did not come in time: send it again", type=_INVALID, code="body_timeout"),
    413: ErrorDetail(message=_TOO_LARGE, type=_INVALID, code="body_too_large"),
    500: ErrorDetail(message=UNFORESEEN, type="server_error", code="internal_error"),
}

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def show_schema(request: Request) -> JSONResponse:
    """The schema that other programs read."""
    return JSONResponse(schema_of(request.app))


@router.get("/docs")
async def show_reference(request: Request) -> HTMLResponse:
    """The same for people: one page without scripts."""
    policy = f"default-src 'none'; style-src '{STYLE_HASH}'; frame-ancestors 'none'"
    return HTMLResponse(render(schema_of(request.app)), headers={"Content-Security-Policy": policy})


def schema_of(app: Any) -> dict[str, Any]:  # noqa: ANN401 - Starlette types the application of a request so
    """The OpenAPI document of the application, written once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
        components = schema["components"]
        for name in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(name, None)
        components["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "A key of `cleanroom key create`."}
        }
        for error in (ErrorDetail, ErrorBody):
            shape = error.model_json_schema(ref_template="#/components/schemas/{model}")
            components["schemas"][error.__name__] = {key: value for key, value in shape.items() if key != "$defs"}
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                _complete(operation, method, path)
        app.openapi_schema = schema
    document: dict[str, Any] = app.openapi_schema
    return document


def _complete(operation: dict[str, Any], method: str, path: str) -> None:
    """Add what holds for every operation like this one: the key it asks for, and errors."""
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own shape of a bad request, which is not ours
    statuses = {500}
    if path not in OPEN:
        operation["security"] = [{"key": []}]
        statuses |= {400, 401, 403, 408, 413, 503}
    if "text/event-stream" in responses["200"]["content"]:
        statuses |= {404, 429, 502, 504}
    statuses |= {404} if "{" in path or (method, path) in NAMING else set()
    statuses |= {409} if path.startswith("/v1/index/") else set()
    for status in sorted(statuses):
        responses.setdefault(str(status), _error(status))


def _error(status: int) -> dict[str, Any]:
    content = {
        "schema": {"$ref": "#/components/schemas/ErrorBody"},
        "examples": {"error": {"summary": ERRORS[status].code, "value": {"error": ERRORS[status].model_dump()}}},
    }
    return {"description": HTTPStatus(status).phrase, "content": {"application/json": content}}
