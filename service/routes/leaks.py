"""`/v1/leaks`: what security teams see and say of leaks, over HTTP.

Shows what `service.review` lets the key's organization see, and nothing beyond: what others see is not there (404).
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import structlog
from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Path, Query
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import StreamingResponse

from guard.errors import LedgerError
from service.accounts import Caller, Scope
from service.auth import requires
from service.errors import ReviewUnavailableError
from service.leak_schemas import (
    AlertListBody,
    DispositionBody,
    DispositionReply,
    ExportQuestion,
    JudgementBody,
    LeakBody,
    LeakDetailBody,
    LeakPageBody,
    LeakQuestion,
)
from service.review.exports import FORMS
from service.review.viewer import Viewer
from service.routes import examples, leak_examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.parts import Services
    from service.review.reviews import Reviews

Reviewer = Annotated[Caller, Depends(requires(Scope.REVIEW, Scope.ADMIN))]
LeakId = Annotated[str, Path(min_length=1, max_length=128)]
Result = TypeVar("Result")
WORKERS = 4
"""Requests that read the ledger for reviews at a time: checks need threads too."""

log = structlog.get_logger(__name__)
router = APIRouter(tags=["leaks"])


@router.get("/v1/leaks", responses=examples.of({"a page": leak_examples.PAGE}))
async def list_leaks(request: Request, question: Annotated[LeakQuestion, Query()], caller: Reviewer) -> LeakPageBody:
    """The leaks that concern the caller's organization, as caller or as owner; an administrator's key sees all."""
    wanted = question.wanted()
    page = await asking(
        request,
        caller,
        lambda reviews, viewer: reviews.page(viewer, wanted, cursor=question.cursor, limit=question.limit),
    )
    return LeakPageBody(data=[LeakBody.of(leak) for leak in page.leaks], next=page.next)


# Before the route of one leak, which would take it for an id.
@router.get("/v1/leaks/export", response_class=StreamingResponse, responses=leak_examples.EXPORTS)
async def export_leaks(
    request: Request, question: Annotated[ExportQuestion, Query()], caller: Reviewer
) -> StreamingResponse:
    """All of these leaks as a stream, the newest first. Broken off, it lacks its end, and HTTP says so."""
    wanted, form = question.wanted(), FORMS[question.format]

    def begun(reviews: Reviews, viewer: Viewer) -> Iterator[str]:
        # The first of it is read before the answer begins, so that an error is one.
        lines = iter(form.write(reviews.all(viewer, wanted)))
        first = next(lines, "")
        return chain((first,), lines)

    lines = await asking(request, caller, begun)
    name = f'attachment; filename="leaks.{form.suffix}"'
    return StreamingResponse(lines, media_type=form.media_type, headers={"Content-Disposition": name})


@router.get("/v1/leaks/{leak_id}", responses=examples.of({"a leak": leak_examples.DETAIL}))
async def show_leak(request: Request, leak_id: LeakId, caller: Reviewer) -> LeakDetailBody:
    """One leak with what was said of it by the caller's organization; by everybody for an administrator."""
    leak, history = await asking(
        request, caller, lambda reviews, viewer: (reviews.get(viewer, leak_id), reviews.history(viewer, leak_id))
    )
    said = [one.to_json() for one in history]
    return LeakDetailBody.model_validate({**leak.to_json(), "history": said})


@router.post("/v1/leaks/{leak_id}/disposition", responses=examples.of({"judged": leak_examples.JUDGED}))
async def judge_leak(
    request: Request,
    leak_id: LeakId,
    body: Annotated[DispositionBody, Body(openapi_examples=leak_examples.DISPOSITIONS)],
    caller: Reviewer,
) -> DispositionReply:
    """Say what a leak is. The other side of it learns nothing of that."""

    def judged(reviews: Reviews, viewer: Viewer) -> DispositionReply:
        said = reviews.judge(viewer, [leak_id], body.disposition, body.note)
        history = [JudgementBody.of(one) for one in reviews.history(viewer, leak_id)]
        return DispositionReply(id=leak_id, disposition=said.disposition, history=history)

    reply = await asking(request, caller, judged)
    log.info("leak judged", disposition=reply.disposition.value)
    return reply


@router.get("/v1/alerts", responses=examples.of({"alerts": leak_examples.ALERTS}))
async def list_alerts(request: Request, caller: Reviewer) -> AlertListBody:
    """What was noticed over many leaks, the newest first: all for an administrator, else of one's own keys."""
    found = await asking(request, caller, lambda reviews, viewer: reviews.alerts.listed(viewer))
    return AlertListBody.model_validate({"data": [alert.to_json() for alert in found]})


async def asking(request: Request, caller: Caller, ask: Callable[[Reviews, Viewer], Result]) -> Result:
    """Ask in a thread; what is written is written to its end even if the client goes away."""
    structlog.contextvars.bind_contextvars(org=caller.org, key=caller.key_id)
    services = cast("Services", request.app.state.services)
    reviews = services.reviews
    if reviews is None:
        message = "this service was started without reviews"
        raise ReviewUnavailableError(message)
    viewer = Viewer.of(caller, identities=services.settings.review_identities)
    with _available():
        return await to_thread.run_sync(ask, reviews, viewer, limiter=request.app.state.review_limiter)


@contextmanager
def _available() -> Iterator[None]:
    """The one place where the ledger's error becomes one of reviews."""
    try:
        yield
    except LedgerError as error:
        raise ReviewUnavailableError(str(error)) from error
