"""`/console/sign-in` and `/console/sign-out`: the beginning and the end of a session, by API key.

Knows no ledger. Every sign-in makes a new session and ends the one that the browser had.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import RedirectResponse, Response

from service.console.door import (
    FORM,
    SESSION,
    Fields,
    anonymous_token,
    cookie_of,
    drop_cookie,
    field_of,
    judged,
    posted,
    require_token,
    services_of,
    sessions_of,
    set_cookie,
)
from service.console.failures import SIGN_IN, ConsoleRoute
from service.console.rendering import HEADERS, page
from service.console.sessions import SCOPES, Session
from service.errors import AuthenticationError, FormRefusedError, PermissionDeniedError

if TYPE_CHECKING:
    from service.accounts import Caller

HOME = "/console"
NEXT = re.compile(r"/console(?:/[A-Za-z0-9._~/-]*)?(?:\?[^\s\\#]*)?")
"""Where a sign-in may lead to: a page of the console, and nowhere else."""

log = structlog.get_logger(__name__)
router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.get(SIGN_IN)
def show_sign_in(request: Request, next: str = HOME) -> Response:  # noqa: A002 - the name that addresses have for it
    """The sign-in page, or where to go for whoever is signed in."""
    token = cookie_of(request, SESSION)
    if token and sessions_of(request).find(token) is not None:
        return RedirectResponse(_target(next), HTTPStatus.SEE_OTHER, headers=dict(HEADERS))
    return _sign_in_page(request, next)


@router.post(SIGN_IN)
def sign_in(request: Request, fields: Annotated[Fields, Depends(posted)]) -> Response:
    """Begin a session with an API key."""
    wanted = field_of(fields, "next")
    try:
        require_token(fields, anonymous_token(request)[1])
    except FormRefusedError:
        return _sign_in_page(request, wanted, "This page had been open for too long: try again.", HTTPStatus.FORBIDDEN)
    try:
        caller = services_of(request).accounts.authenticate(field_of(fields, "key").strip())
        _require_reviewer(caller)
    except (AuthenticationError, PermissionDeniedError) as error:
        log.warning("sign-in refused", error=type(error).__name__)
        return _sign_in_page(request, wanted, error.message, HTTPStatus(error.status))
    log.info("signed in", org=caller.org, key=caller.key_id)
    return begin(request, caller.org, f"key:{caller.key_id}", caller.scopes, key_id=caller.key_id, target=wanted)


@router.post("/console/sign-out")
def sign_out(request: Request, form: Annotated[tuple[Session, Fields], Depends(judged)]) -> Response:
    """End the session, here and for whoever else has its token."""
    sessions_of(request).close(cookie_of(request, SESSION))
    log.info("signed out", org=form[0].org, key=form[0].key_id)
    response = RedirectResponse(SIGN_IN, HTTPStatus.SEE_OTHER, headers=dict(HEADERS))
    drop_cookie(request, response, SESSION)
    return response


def begin(
    request: Request,
    org: str,
    subject: str,
    scopes: frozenset[str],
    *,
    key_id: str | None,
    target: str = HOME,
    response: Response | None = None,
) -> Response:
    """Open a session in place of whatever the browser had, and lead on to `target`, or answer with `response`."""
    sessions = sessions_of(request)
    sessions.close(cookie_of(request, SESSION))
    hours = services_of(request).settings.session_hours
    allowed = frozenset(scope for scope in SCOPES if scope in scopes)
    token = sessions.open(org, subject, allowed, seconds=3600 * hours, key_id=key_id)
    if response is None:
        response = RedirectResponse(_target(target), HTTPStatus.SEE_OTHER, headers=dict(HEADERS))
    set_cookie(request, response, SESSION, token, seconds=int(3600 * hours))
    drop_cookie(request, response, FORM)
    return response


def _require_reviewer(caller: Caller) -> None:
    if not caller.scopes & SCOPES:
        message = f"key {caller.key_id} opens no console: ask your administrator for one with the scope review"
        raise PermissionDeniedError(message)


def _target(wanted: str) -> str:
    return wanted if NEXT.fullmatch(wanted) else HOME


def _sign_in_page(request: Request, wanted: str, complaint: str = "", status: HTTPStatus = HTTPStatus.OK) -> Response:
    cookie, token = anonymous_token(request)
    values = {"form_token": token, "next": _target(wanted), "complaint": complaint}
    issuer = services_of(request).settings.oidc_issuer
    response = page(request, "sign_in.html", None, {**values, "issuer": issuer}, status=status)
    set_cookie(request, response, FORM, cookie)
    return response
