"""What reviewers say of leaks, by form: of one on its page, or of several at once from the list.

Knows no template of its own: what was judged is shown again as it now is.
"""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import RedirectResponse, Response

from service.console.door import Fields, field_of, judged
from service.console.failures import ConsoleRoute
from service.console.pages import leak_page
from service.console.reading import CHOICES, PERIODS, Question, find, reading, viewer_of
from service.console.rendering import HEADERS, is_part, page
from service.console.sessions import Session
from service.errors import InvalidRequestError
from service.review.exports import FORMS
from service.review.leak import Disposition

Judged = Annotated[tuple[Session, Fields], Depends(judged)]

log = structlog.get_logger(__name__)
router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.post("/console/leaks/dispositions")
def judge_several(request: Request, form: Judged) -> Response:
    """Say the same of every leak that was marked, all of them or none, and show the list again."""
    session, fields = form
    ids = list(dict.fromkeys(fields.get("id", [])))
    if not ids:
        message = "no leak is marked: mark those that you mean in the first column"
        raise InvalidRequestError(message)
    viewer = viewer_of(request, session)
    disposition = _disposition(fields)
    with reading(request) as reviews:
        reviews.judge(viewer, ids, disposition, field_of(fields, "note").strip())
        question = Question.of({name: values[0] for name, values in fields.items()})
        log.info("leaks judged", count=len(ids), disposition=disposition.value)
        if not is_part(request):
            return RedirectResponse(question.address(), 303, headers=dict(HEADERS))
        found = find(reviews, viewer, question)
    said = f"{len(ids)} {'leak' if len(ids) == 1 else 'leaks'} judged: {disposition.value.replace('_', ' ')}"
    values = {"question": question, "found": found, "choices": CHOICES, "periods": PERIODS, "forms": tuple(FORMS)}
    newest = found.leaks[0].id if found.leaks else ""
    return page(request, "leak_list.html", session, {**values, "said": said, "newest": newest})


@router.post("/console/leaks/{leak_id}/disposition")
def judge_one(request: Request, form: Judged, leak_id: str) -> Response:
    """Say what a leak is, and show it again."""
    session, fields = form
    viewer = viewer_of(request, session)
    disposition = _disposition(fields)
    with reading(request) as reviews:
        reviews.judge(viewer, [leak_id], disposition, field_of(fields, "note").strip())
    log.info("leak judged", disposition=disposition.value)
    return leak_page(request, session, viewer, leak_id, f"Judged: {disposition.value.replace('_', ' ')}.")


def _disposition(fields: Fields) -> Disposition:
    value = field_of(fields, "disposition")
    try:
        return Disposition(value)
    except ValueError:
        message = f"disposition {value[:80]!r} is none of {', '.join(Disposition)}: choose one"
        raise InvalidRequestError(message) from None
