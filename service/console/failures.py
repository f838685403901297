"""How a failure of the console looks: a page, or a line in the page that asked. Knows no route."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from guard.errors import GuardError
from service.console.rendering import HEADERS, is_part, page
from service.errors import GuardUnavailableError, InvalidRequestError, NotFoundError, ServiceError, SignedOutError
from service.routes.failures import detail_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import Scope

    from service.schemas import ErrorDetail

SIGN_IN = "/console/sign-in"
FAILURES = (ServiceError, GuardError, HTTPException, RequestValidationError)


class ConsoleRoute(APIRoute):
    """A route whose failures people read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with a page for what it raises."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except FAILURES as error:
                return _shown(request, error)

        return answered


def _shown(request: Request, error: Exception) -> Response:
    if isinstance(error, SignedOutError):
        return _to_sign_in(request)
    failure = _service_error(error)
    request.app.state.services.metrics.failed(failure)
    return failure_page(request.scope, HTTPStatus(failure.status), detail_of(failure))


def failure_page(scope: Scope, status: HTTPStatus, detail: ErrorDetail) -> Response:
    """The page for a request that came to no route of ours."""
    request = Request(scope)
    template = "failure_line.html" if is_part(request) else "failure.html"
    return page(request, template, None, {"heading": status.phrase, "message": detail.message}, status=status)


def _to_sign_in(request: Request) -> Response:
    """To the sign-in page and back; what a page asks for in the background takes that page along."""
    if is_part(request):
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={**HEADERS, "HX-Redirect": SIGN_IN})
    wanted = request.url.path if request.method == "GET" else "/console"
    if request.method == "GET" and request.url.query:
        wanted += f"?{request.url.query}"
    target = SIGN_IN if wanted == "/console" else f"{SIGN_IN}?next={quote(wanted, safe='/')}"
    return RedirectResponse(target, HTTPStatus.SEE_OTHER, headers=dict(HEADERS))


def _service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, RequestValidationError):
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"][1:])
        return InvalidRequestError(f"{where}: {fault['msg'].removeprefix('Value error, ')}")
    if isinstance(error, HTTPException):
        if error.status_code == HTTPStatus.NOT_FOUND:
            return NotFoundError("there is no such page")
        refused = InvalidRequestError(error.detail)
        refused.status = error.status_code
        return refused
    unavailable = GuardUnavailableError(str(error))
    unavailable.public = "the ledger or the index does not answer at present: retry, or ask your administrator"
    return unavailable
