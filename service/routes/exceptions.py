"""`/v1/exceptions`: what reviewers let pass after a false alarm, over HTTP.

Owners of code and administrators alone make, see and end exceptions; of others' they learn nothing (404).
"""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Body, Path, Query
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from service.exception_schemas import ExceptionBody, ExceptionListReply, ExceptionReply
from service.routes import examples, leak_examples
from service.routes.leaks import Reviewer, asking

ExceptionId = Annotated[str, Path(min_length=1, max_length=128)]

log = structlog.get_logger(__name__)
router = APIRouter(tags=["leaks"])


@router.get("/v1/exceptions", responses=examples.of({"exceptions": leak_examples.EXCEPTIONS}))
async def list_exceptions(
    request: Request,
    caller: Reviewer,
    ended: Annotated[bool, Query(description="Also those that have ended.")] = False,  # noqa: FBT002 - a query's field
) -> ExceptionListReply:
    """The exceptions for the caller's organization's code, the newest first; an administrator's key sees all."""
    found = await asking(request, caller, lambda reviews, viewer: reviews.exceptions.listed(viewer, ended=ended))
    return ExceptionListReply(data=[ExceptionReply.of(one) for one in found])


@router.post("/v1/exceptions", responses=examples.of({"made": leak_examples.EXCEPTION}))
async def make_exception(
    request: Request,
    body: Annotated[ExceptionBody, Body(openapi_examples=leak_examples.EXCEPTIONS_WANTED)],
    caller: Reviewer,
) -> ExceptionReply:
    """Let copies of a document pass, for a time. The ledger tells of it, and of every use."""
    wanted = body.model_dump(exclude={"leak"})
    made = await asking(request, caller, lambda reviews, viewer: reviews.except_document(viewer, body.leak, **wanted))
    log.info("exception made", exception=made.id)
    return ExceptionReply.of(made)


@router.delete("/v1/exceptions/{exception_id}", responses=examples.of({"ended": leak_examples.ENDED}))
async def revoke_exception(request: Request, exception_id: ExceptionId, caller: Reviewer) -> ExceptionReply:
    """End an exception. One that has ended already stays as it is."""
    ended = await asking(request, caller, lambda reviews, viewer: reviews.exceptions.revoke(viewer, exception_id))
    log.info("exception ended", exception=exception_id)
    return ExceptionReply.of(ended)
