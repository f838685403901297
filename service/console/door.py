"""The console's door: cookies, who is signed in, and whether a form came from one of our own pages.

Knows no page. Cookies are HttpOnly and SameSite=Strict and, over HTTPS, Secure and bound to this very host.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Annotated, cast
from urllib.parse import parse_qs, urlsplit

import structlog
from fastapi import Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations of dependencies at run time

from service.console.sessions import Session, Sessions, form_token
from service.errors import FormRefusedError, InvalidRequestError, SignedOutError

if TYPE_CHECKING:
    from starlette.responses import Response

    from service.parts import Services

SESSION, FORM = "cleanroom", "cleanroom-form"
"""The cookies: of whoever is signed in, and of a sign-in page before that."""
TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 1000

Fields = dict[str, list[str]]


def services_of(request: Request) -> Services:
    """The parts of the service."""
    return cast("Services", request.app.state.services)


def sessions_of(request: Request) -> Sessions:
    """The sessions of the service."""
    return Sessions(services_of(request).accounts)


def cookie_name(request: Request, name: str) -> str:
    """How a cookie is called: over HTTPS so that no other host, nor plain HTTP, can set one of that name."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def cookie_of(request: Request, name: str) -> str:
    """The value of a cookie, or nothing."""
    return request.cookies.get(cookie_name(request, name), "")


def set_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Give the browser a cookie for so long, or until it is closed."""
    secure = request.url.scheme == "https"
    named = cookie_name(request, name)
    response.set_cookie(named, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")


def drop_cookie(request: Request, response: Response, name: str) -> None:
    """Take a cookie away."""
    secure = request.url.scheme == "https"
    response.delete_cookie(cookie_name(request, name), path="/", secure=secure, httponly=True, samesite="strict")


def signed_in(request: Request) -> Session:
    """A dependency: whoever is signed in. Raises SignedOutError where nobody is.

    FastAPI runs it in a worker thread, since it asks the database: every time, so that a revoked key fails at its next
    request.
    """
    token = cookie_of(request, SESSION)
    session = sessions_of(request).find(token) if token else None
    if session is None:
        raise SignedOutError(SignedOutError.words)
    structlog.contextvars.bind_contextvars(org=session.org, key=session.key_id)
    return session


async def posted(request: Request) -> Fields:
    """A dependency: the fields of a form of this very site, whose token the route checks still.

    Raises InvalidRequestError on what is no form and FormRefusedError on one that another site sent.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        message = f"expected a form, with the header 'Content-Type: {FORM_TYPE}'"
        raise InvalidRequestError(message)
    _require_same_site(request)
    try:
        return parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:  # also of bytes that are no UTF-8
        message = f"the form cannot be read: it is no UTF-8, or has more than {MAX_FIELDS} fields"
        raise InvalidRequestError(message) from error


def judged(
    fields: Annotated[Fields, Depends(posted)], session: Annotated[Session, Depends(signed_in)]
) -> tuple[Session, Fields]:
    """A dependency: who sent a form of their own session, and its fields. Raises FormRefusedError on any other."""
    require_token(fields, session.csrf)
    return session, fields


def require_token(fields: Fields, expected: str) -> None:
    """Raise FormRefusedError unless the form carries its session's token."""
    if not hmac.compare_digest(field_of(fields, TOKEN_FIELD).encode(), expected.encode()):
        raise FormRefusedError(FormRefusedError.words)


def field_of(fields: Fields, name: str) -> str:
    """One field of a form, or nothing."""
    return fields.get(name, [""])[0]


def anonymous_token(request: Request) -> tuple[str, str]:
    """The cookie that a sign-in page needs, the browser's own where it has one, and the token of its form."""
    cookie = cookie_of(request, FORM) or secrets.token_urlsafe(32)
    return cookie, form_token(cookie)


def _require_same_site(request: Request) -> None:
    """What browsers say of where a form comes from, held against where it went."""
    origin, fetched = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    elsewhere = origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
    if elsewhere or fetched not in {None, "same-origin"}:
        raise FormRefusedError(FormRefusedError.words)
