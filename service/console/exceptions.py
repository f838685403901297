"""Exceptions in the console: made on the page of a false alarm, listed, and revoked.

Who may make, see and end one is decided by `service.review`.
"""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import Response  # noqa: TC002 - as above

from service.console.door import Fields, field_of, judged, signed_in
from service.console.failures import ConsoleRoute
from service.console.pages import leak_page
from service.console.reading import reading, viewer_of
from service.console.rendering import page
from service.console.sessions import Session
from service.errors import InvalidRequestError
from service.review.exceptions import ExceptionKind

Judged = Annotated[tuple[Session, Fields], Depends(judged)]
BETWEEN = "\t"
"""Between owner and path in a field's value: no owner has one."""

log = structlog.get_logger(__name__)
router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.get("/console/exceptions")
def show_exceptions(request: Request, session: Annotated[Session, Depends(signed_in)]) -> Response:
    """What may pass, and on request what could once."""
    return _list(request, session)


@router.post("/console/leaks/{leak_id}/exception")
def make_exception(request: Request, form: Judged, leak_id: str) -> Response:
    """Make an exception of a false alarm, and show that again."""
    session, fields = form
    owner, _, document = field_of(fields, "document").partition(BETWEEN)
    days = field_of(fields, "days").strip()
    if not (days.isascii() and days.isdigit() and len(days) <= len("365")):
        message = f"{days[:80]!r} is no number of days: write a whole number"
        raise InvalidRequestError(message, param="days")
    viewer, org = viewer_of(request, session), field_of(fields, "org").strip() or None
    note, kind = field_of(fields, "note").strip(), _kind(field_of(fields, "kind"))
    with reading(request) as reviews:
        made = reviews.except_document(
            viewer, leak_id, days=int(days), owner=owner, document=document, org=org, note=note, kind=kind
        )
    log.info("exception made", exception=made.id)
    said = f"Copies of {made.document} may pass to {made.org or 'everyone'} until {made.until[:10]}."
    return leak_page(request, session, viewer, leak_id, said)


@router.post("/console/exceptions/{exception_id}/revoke")
def revoke_exception(request: Request, form: Judged, exception_id: str) -> Response:
    """End an exception, and show the others."""
    session, _ = form
    with reading(request) as reviews:
        ended = reviews.exceptions.revoke(viewer_of(request, session), exception_id)
    log.info("exception ended", exception=ended.id)
    return _list(request, session, f"{ended.ended.capitalize()}: copies of {ended.document} are stopped again.")


def _kind(value: str) -> ExceptionKind:
    try:
        return ExceptionKind(value or ExceptionKind.EXCEPTION)
    except ValueError:
        message = f"{value[:80]!r} is none of {', '.join(ExceptionKind)}: choose one"
        raise InvalidRequestError(message, param="kind") from None


def _list(request: Request, session: Session, said: str = "") -> Response:
    ended = "ended" in request.query_params
    with reading(request) as reviews:
        found = reviews.exceptions.listed(viewer_of(request, session), ended=ended)
    return page(request, "exceptions.html", session, {"found": found, "ended": ended, "said": said})
