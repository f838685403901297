"""`POST /v1/feedback`: what became of completions in editors. Takes numbers and names; a text has no place in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from anyio import to_thread
from fastapi import APIRouter, Body, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from guard.errors import RefusalError
from service.accounts import Caller, Scope
from service.auth import requires
from service.errors import GuardUnavailableError
from service.feedback import Event
from service.feedback_schemas import FeedbackBody, FeedbackReply
from service.routes import examples

if TYPE_CHECKING:
    from service.feedback import Feedback
    from service.parts import Services

router = APIRouter(tags=["completions"])


@router.post("/v1/feedback", responses=examples.of({"counted": examples.COUNTED}))
async def take_feedback(
    request: Request,
    body: Annotated[FeedbackBody, Body(openapi_examples=examples.FEEDBACK)],
    caller: Annotated[Caller, Depends(requires(Scope.COMPLETE))],
) -> FeedbackReply:
    """Count what a developer did with completions. Decisions that are not of the key's organization do not count."""
    feedback = cast("Feedback", request.app.state.feedback)
    services = cast("Services", request.app.state.services)
    await feedback.admit(caller)
    events = [Event(event.decision, event.outcome, event.language) for event in body.events]
    try:
        counted = await to_thread.run_sync(feedback.take, caller, events, frozenset(services.engine.models))
    except RefusalError as error:
        message = f"the ledger cannot be read: {error}"
        raise GuardUnavailableError(message) from error
    return FeedbackReply(counted=counted)
