"""`/v1/webhook`: where an organization wants to be told of the leaks that concern it, over HTTP.

Decides neither what is told nor which hosts may be named (service.review).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import structlog
from fastapi import APIRouter, Body
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from service.errors import NotFoundError
from service.hook_schemas import HookBody, HookRemoved, HookReply
from service.review.hooks import AllowedHosts
from service.review.viewer import Viewer
from service.routes import examples, hook_examples
from service.routes.leaks import Reviewer, asking

if TYPE_CHECKING:
    from service.parts import Services

log = structlog.get_logger(__name__)
router = APIRouter(tags=["leaks"])


@router.get("/v1/webhook", responses=examples.of({"a webhook": hook_examples.HOOK}))
async def show_webhook(request: Request, caller: Reviewer) -> HookReply:
    """The webhook of the caller's organization, without its secret."""
    hook = await asking(request, caller, lambda reviews, viewer: reviews.hooks.get(viewer.org))
    if hook is None:
        message = f"{caller.org} has no webhook: PUT /v1/webhook sets one"
        raise NotFoundError(message)
    return HookReply(url=hook.url, at=hook.at, key=hook.key)


@router.put("/v1/webhook", responses=examples.of({"set": hook_examples.HOOK}))
async def set_webhook(
    request: Request, body: Annotated[HookBody, Body(openapi_examples=hook_examples.HOOKS)], caller: Reviewer
) -> HookReply:
    """Be told of leaks and alerts that concern the caller's organization, as its reviewers see them, from now on."""
    settings = cast("Services", request.app.state.services).settings
    AllowedHosts(settings.org_webhook_hosts).require(body.url)
    hook = await asking(
        request,
        caller,
        lambda reviews, viewer: reviews.set_hook(_own(viewer), body.url, body.secret.get_secret_value()),
    )
    log.info("webhook set")
    return HookReply(url=hook.url, at=hook.at, key=hook.key)


@router.delete("/v1/webhook", responses=examples.of({"removed": hook_examples.REMOVED}))
async def remove_webhook(request: Request, caller: Reviewer) -> HookRemoved:
    """Be told nothing any more; what still waited is forgotten, and stays in the ledger."""
    await asking(request, caller, lambda reviews, viewer: reviews.remove_hook(_own(viewer)))
    log.info("webhook removed")
    return HookRemoved()


def _own(viewer: Viewer) -> Viewer:
    """An administrator's own organization is told what its reviewers see."""
    return Viewer(viewer.org, viewer.key_id)
