"""`GET /v1/models`: which models are served. Knows only their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time

from service.accounts import Caller, Scope
from service.auth import requires
from service.errors import ModelNotFoundError
from service.request_fields import unknown_model
from service.routes import examples
from service.schemas import ModelBody, ModelList

if TYPE_CHECKING:
    from service.parts import Services

Reader = Annotated[Caller, Depends(requires(Scope.COMPLETE))]

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=examples.of({"the served model": examples.MODEL_LIST}))
async def list_models(request: Request, _caller: Reader) -> ModelList:
    """The models that are served, adapters too; `created` is when the service started."""
    return ModelList(data=_served(request))


# Names of models may have slashes in them.
@router.get("/v1/models/{model:path}", responses=examples.of({"the served model": examples.MODEL}))
async def show_model(request: Request, model: str, _caller: Reader) -> ModelBody:
    """One model that is served."""
    served = _served(request)
    found = next((body for body in served if body.id == model), None)
    if found is None:
        raise ModelNotFoundError(unknown_model(model, served[0].id), param="model")
    return found


def _served(request: Request) -> list[ModelBody]:
    services = cast("Services", request.app.state.services)
    created: int = request.app.state.started
    return [ModelBody(id=model, created=created) for model in services.engine.models]
