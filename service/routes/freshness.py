"""`GET /v1/freshness`: whether completions that a client has kept would be given again. Knows none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from service.accounts import Caller, Scope
from service.auth import requires
from service.feedback_schemas import FreshnessReply
from service.freshness import INDEX_HEADER, freshness
from service.routes import examples

if TYPE_CHECKING:
    from service.parts import Services

router = APIRouter(tags=["completions"])


@router.get("/v1/freshness", responses=examples.of({"a state": examples.FRESHNESS}))
async def show_freshness(
    request: Request, caller: Annotated[Caller, Depends(requires(Scope.COMPLETE))]
) -> FreshnessReply:
    """The state of index, policy and models for this key. Counts towards no quota, since nothing is generated."""
    services = cast("Services", request.app.state.services)
    return FreshnessReply(index=await freshness(services, caller))


async def note_freshness(request: Request, services: Services, caller: Caller) -> None:
    """Let the answer say the state of before it was checked, to a client that asks by a header of that name.

    Of before: if the index changes meanwhile, the client takes its answer for an older one than it is.
    """
    if INDEX_HEADER in request.headers:
        standing = getattr(request.state, "headers", {})
        request.state.headers = {**standing, INDEX_HEADER: await freshness(services, caller)}
