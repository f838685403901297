"""Which of the engine's models an organization may ask for. Knows no request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import ModelNotFoundError, SetupError

if TYPE_CHECKING:
    from service.parts import Services

SHOWN = 200
"""Characters of a wrong name that an answer repeats."""


def models_for(services: Services, org: str) -> tuple[str, ...]:
    """The models that `org` may ask for, in the engine's order: all that are not kept for others."""
    kept = services.settings.model_orgs
    return tuple(model for model in services.engine.models if org in kept.get(model, (org,)))


def require_model(services: Services, org: str, named: str | None) -> None:
    """Raise ModelNotFoundError unless `org` may ask for the model `named`; None is the engine's first.

    One that is kept for others is not there: an adapter's name alone may tell what somebody works on.
    """
    offered = models_for(services, org)
    if (services.engine.models[0] if named is None else named) in offered:
        return
    instead = f"ask for {offered[0]!r} (GET /v1/models)" if offered else "ask your administrator for one"
    what = f"model {named[:SHOWN]!r} is not served here" if named is not None else "a model has to be named here"
    message = f"{what}: {instead}"
    raise ModelNotFoundError(message, param="model")


def require_offered(services: Services) -> None:
    """Raise SetupError where a model is kept for some that is not served: a misspelt one would be open to all."""
    served = services.engine.models
    missing = [model for model in services.settings.model_orgs if model not in served]
    if missing:
        message = f"CLEANROOM_MODEL_ORGS names {missing[0]!r}, which is not served: name some of {', '.join(served)}"
        raise SetupError(message)
