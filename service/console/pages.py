"""The pages of the console that read: overview, leaks, one leak, export, inventory, ledger.

Knows how to ask and which template answers; what a viewer may see is decided by `service.review`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import RedirectResponse, Response, StreamingResponse

from guard.errors import LedgerError
from guard.ledger import Ledger
from registry.releases import Releases
from service.console.charts import heat_map, stacked, strip
from service.console.door import Fields, judged, services_of, signed_in
from service.console.failures import ConsoleRoute
from service.console.overview import overview
from service.console.reading import CHOICES, PERIODS, Question, every, find, reading, viewer_of
from service.console.rendering import HEADERS, is_part, page
from service.console.sessions import Session
from service.errors import NotFoundError, PermissionDeniedError, ReviewUnavailableError
from service.review.exceptions import DAYS
from service.review.exports import FORMS
from service.review.leak import Disposition, Role
from service.review.reviews import exceptable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.console.verification import Verifications
    from service.review.viewer import Viewer

SignedIn = Annotated[Session, Depends(signed_in)]
NEWS_LIMIT = 20
"""Leaks that a list takes in at a time while somebody looks at it; of more it says so."""

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.get("/console")
def show_overview(request: Request, session: SignedIn) -> Response:
    """What the last days come to."""
    days = request.query_params.get("days", "30")
    days = days if days in PERIODS else "30"
    now = datetime.now(UTC)
    since = now - timedelta(days=int(days))
    viewer = viewer_of(request, session)
    with reading(request) as reviews:
        # Its end is not counted with it, and what comes meanwhile may have this very time.
        numbers = reviews.counted(viewer, since, now + timedelta(minutes=1))
        counted = overview(numbers, reviews.alerts.listed(viewer, since), int(days), now)
    chart = stacked([(day.date, day.counts) for day in counted.days])
    values = {"counted": counted, "chart": chart, "heat": heat_map(counted.pairs), "days": days}
    return page(request, "overview.html", session, {**values, "periods": PERIODS})


@router.get("/console/leaks")
def show_leaks(request: Request, session: SignedIn) -> Response:
    """The list, or its rows where the page itself asks for them while somebody types."""
    question = Question.of(request.query_params)
    cursor = request.query_params.get("cursor")
    with reading(request) as reviews:
        found = find(reviews, viewer_of(request, session), question, cursor)
    template = "leaks.html"
    if is_part(request):
        template = "leak_rows.html" if cursor else "leak_list.html"
    values = {"question": question, "found": found, "choices": CHOICES, "periods": PERIODS, "forms": tuple(FORMS)}
    return page(request, template, session, {**values, "newest": found.leaks[0].id if found.leaks else ""})


@router.get("/console/leaks/news")
def show_news(request: Request, session: SignedIn) -> Response:
    """The rows that came since the list was made, above the leak `newest`; 204 where there are none."""
    query = dict(request.query_params)
    newest = query.pop("newest", "")
    with reading(request) as reviews:
        viewer, question = viewer_of(request, session), Question.of(query | {"asked": ""})
        news = []
        for leak in find(reviews, viewer, question).leaks:
            if leak.id == newest:
                break
            news.append(leak)
    if not news:
        return Response(status_code=204, headers=dict(HEADERS))
    values = {"news": news[:NEWS_LIMIT], "more": len(news) > NEWS_LIMIT, "question": question}
    return page(request, "leak_news.html", session, {**values, "newest": news[0].id})


@router.get("/console/leaks/export")
def export_leaks(request: Request, session: SignedIn) -> Response:
    """All that the list would show, in one of the forms of `service.review.exports`."""
    question = Question.of(request.query_params)
    form = FORMS.get(request.query_params.get("format", ""), FORMS["jsonl"])
    with reading(request) as reviews:
        lines: Iterator[str] = iter(form.write(every(reviews, viewer_of(request, session), question)))
        # The first of it is read before the answer begins, so that an error is one.
        lines = chain((next(lines, ""),), lines)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="leaks.{form.suffix}"'}
    return StreamingResponse(lines, media_type=form.media_type, headers=headers)


@router.get("/console/leaks/{leak_id}")
def show_leak(request: Request, session: SignedIn, leak_id: str) -> Response:
    """One leak as a person needs it."""
    return leak_page(request, session, viewer_of(request, session), leak_id)


def leak_page(request: Request, session: Session, viewer: Viewer, leak_id: str, said: str = "") -> Response:
    """The page of a leak, with a word on what was just done to it."""
    with reading(request) as reviews:
        leak, history = reviews.get(viewer, leak_id), reviews.history(viewer, leak_id)
    spans = [(match.start, match.end, match.kind) for match in leak.matches]
    drawn = strip(leak.generated_characters, leak.released_characters, spans)
    offered = leak.disposition == Disposition.FALSE_ALARM and leak.role is not Role.CALLER
    values = {"leak": leak, "history": history, "strip": drawn, "said": said, "days": DAYS}
    values["exceptable"] = exceptable(viewer, leak) if offered else []
    return page(request, "leak.html", session, {**values, "dispositions": CHOICES["disposition"][1:]})


@router.get("/console/inventory")
def show_inventory(request: Request, session: SignedIn) -> Response:
    """What the index holds and which model writes: of everybody for an administrator, else of one's own."""
    services = services_of(request)
    census = own = None
    if services.documents is not None:
        if session.is_admin:
            census = services.documents.census()
        else:
            own = services.documents.statistics(session.org)
    releases = Releases(services.settings.home).names() if session.is_admin else []
    model = {"engine": services.engine, "release": services.release, "releases": releases}
    return page(request, "inventory.html", session, {"census": census, "own": own, **model})


@router.get("/console/ledger")
def show_ledger(request: Request, session: SignedIn) -> Response:
    """Whether the chain of the ledger held when it was last verified, and for administrators where its chains stand."""
    ledger = _ledger(request)
    try:
        heads = ledger.heads() if session.is_admin else ()
        exported = {one.head.writer: one for one in ledger.book.last()} if session.is_admin else {}
    except LedgerError as error:
        raise ReviewUnavailableError(str(error)) from error
    values = {"heads": heads, "exported": exported, "verifications": _verifications(request)}
    return page(request, "ledger.html", session, values)


@router.post("/console/ledger/verify")
def verify_ledger(request: Request, form: Annotated[tuple[Session, Fields], Depends(judged)]) -> Response:
    """Recompute the chain. It reads the whole ledger, so administrators alone may ask for it."""
    session, _ = form
    if not session.is_admin:
        message = "verification reads the whole ledger: ask an administrator for it"
        raise PermissionDeniedError(message)
    try:
        _verifications(request).verify(_ledger(request))
    except LedgerError as error:
        raise ReviewUnavailableError(str(error)) from error
    return show_ledger(request, session)


# After all others, which it would hide.
@router.get("/console/{path:path}")
def show_nothing(path: str) -> Response:
    """A page that there is none of."""
    if not path:
        return RedirectResponse("/console", 308, headers=dict(HEADERS))
    message = "there is no such page"
    raise NotFoundError(message)


def _verifications(request: Request) -> Verifications:
    return cast("Verifications", request.app.state.verifications)


def _ledger(request: Request) -> Ledger:
    ledger = services_of(request).ledger
    if not isinstance(ledger, Ledger):
        message = "this service writes its decisions to something that is no ledger"
        raise ReviewUnavailableError(message)
    return ledger
