"""`GET /v1/models`: which model is served. Knows only its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from service.accounts import Caller, Scope
from service.auth import requires
from service.schemas import ModelBody, ModelList

if TYPE_CHECKING:
    from service.parts import Services

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request, _caller: Annotated[Caller, Depends(requires(Scope.COMPLETE))]) -> ModelList:
    """The one model that is served; `created` is when the service started."""
    services = cast("Services", request.app.state.services)
    return ModelList(data=[ModelBody(id=services.engine.model, created=request.app.state.started)])
