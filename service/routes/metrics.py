"""`GET /metrics`: the numbers of the service, and those that its engine offers, as Prometheus reads them.

Not part of the API: whoever reads it learns how often something is blocked (`service.metrics_listener`).
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, cast

import structlog
from fastapi import APIRouter
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import Response

from service.auth import bearer_token
from service.engines.protocol import Metered
from service.errors import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric
    from pydantic import SecretStr

    from service.engines.protocol import Engine
    from service.parts import Services
    from service.routes.health import Parts

# Seconds that the engine may take: Prometheus waits ten for everything by default.
ENGINE_PATIENCE = 2.0

log = structlog.get_logger(__name__)
router = APIRouter()


@router.get("/metrics")
async def read_metrics(request: Request) -> Response:
    """Every number, with what each part says of itself just now."""
    services = cast("Services", request.app.state.services)
    _require_key(services.settings.metrics_key, request.headers.get("authorization", ""))
    states = await cast("Parts", request.app.state.parts).states()
    services.metrics.parts({part: state.ready for part, state in states.items()})
    ours = list(services.metrics.registry.collect())
    taken = {name for family in ours for name in _names(family)}
    # Python's own numbers of the engine's process would pass for ours.
    others = [family for family in await engine_families(services.engine) if taken.isdisjoint(_names(family))]
    text = generate_latest(_Families([*ours, *others]))
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


async def engine_families(engine: Engine) -> list[Metric]:
    """The metrics of an engine's servers, each number with a label for its `server`; none where that fails."""
    if not isinstance(engine, Metered):
        return []
    families: dict[str, Metric] = {}
    try:
        async with asyncio.timeout(ENGINE_PATIENCE):
            texts = await engine.metrics()
        for server, text in texts.items():
            for found in text_string_to_metric_families(text):
                # A family may stand in a text once, whatever number of servers have it.
                family = families.setdefault(found.name, found)
                samples = [one._replace(labels={**one.labels, "server": server}) for one in found.samples]
                family.samples = samples if family is found else family.samples + samples
        return list(families.values())
    except Exception as error:  # noqa: BLE001 - our own numbers are wanted most when the engine is in trouble
        log.warning("no metrics of the engine", error=type(error).__name__)
        return []


def _require_key(key: SecretStr | None, header: str) -> None:
    if key is None:
        return
    given = bearer_token(header).encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(given, key.get_secret_value().encode()):
        message = "this is not the key for metrics: send the one of CLEANROOM_METRICS_KEY"
        raise AuthenticationError(message)


def _names(family: Metric) -> set[str]:
    return {family.name, *(sample.name for sample in family.samples)}


class _Families(Collector):
    """Families of metrics that are there already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._families
