"""`GET /v1/models`: which models are served. Knows only their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from service.accounts import Caller, Scope
from service.auth import requires
from service.offering import models_for, require_model
from service.routes import examples
from service.schemas import ModelBody, ModelList

if TYPE_CHECKING:
    from service.parts import Services

Reader = Annotated[Caller, Depends(requires(Scope.COMPLETE))]

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=examples.of({"the served model": examples.MODEL_LIST}))
async def list_models(request: Request, caller: Reader) -> ModelList:
    """The models that the caller's organization may ask for, adapters too; `created` is when the service started."""
    services = cast("Services", request.app.state.services)
    return ModelList(data=[_body(request, model) for model in models_for(services, caller.org)])


# Names of models may have slashes in them.
@router.get("/v1/models/{model:path}", responses=examples.of({"the served model": examples.MODEL}))
async def show_model(request: Request, model: str, caller: Reader) -> ModelBody:
    """One of these models."""
    require_model(cast("Services", request.app.state.services), caller.org, model)
    return _body(request, model)


def _body(request: Request, model: str) -> ModelBody:
    created: int = request.app.state.started
    return ModelBody(id=model, created=created)
