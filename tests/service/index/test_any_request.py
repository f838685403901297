"""Requests that nobody would write, made from the service's own schema: each gets an answer of the declared shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from service.accounts import Scope
from service.schemas import ErrorBody

if TYPE_CHECKING:
    from tests.service.index.conftest import Shelf

schemathesis: Any = pytest.importorskip("schemathesis")
checks: Any = pytest.importorskip("schemathesis.checks")
openapi: Any = pytest.importorskip("schemathesis.specs.openapi.checks")

CHECKS = (
    checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
    openapi.response_headers_conformance,
)
EXAMPLES = 20


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_any_request_is_answered_in_the_declared_shape(shelf: Shelf, mode: str) -> None:
    # The first check of a process may wait for kernels to be compiled.
    httpx.post(
        f"{shelf.url}/infill",
        json={},
        headers={"Authorization": f"Bearer {shelf.key('acme', Scope.COMPLETE)}"},
        timeout=300,
    )
    schema = schemathesis.openapi.from_dict(httpx.get(f"{shelf.url}/openapi.json").json())
    schema.config.update(base_url=shelf.url)
    key = shelf.accounts.create_key("acme", frozenset(Scope))[1]
    asked = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if mode == "NEGATIVE" and not operation.body and not operation.query:
            continue  # what has no fields has none to send wrongly
        hold(operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]), key)
        asked.add(operation.label)
    assert {"POST /v1/completions", "POST /v1/fim/completions", "POST /infill"} <= asked


def hold(cases: Any, key: str) -> None:  # noqa: ANN401 - schemathesis has no types of its own
    """Send cases of one operation."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def answered(case: Any) -> None:  # noqa: ANN401 - as above
        response = case.call(headers={"Authorization": f"Bearer {key}"}, timeout=20)
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            ErrorBody.model_validate(response.json(), extra="forbid")

    answered()
