"""`GET /v1/models`: which models are served. Knows only their names."""

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
    """The models that are served, adapters too; `created` is when the service started."""
    services = cast("Services", request.app.state.services)
    created: int = request.app.state.started
    return ModelList(data=[ModelBody(id=model, created=created) for model in services.engine.models])
