"""Which route can give out generated text. Whoever adds one says here what it does."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from guard.errors import StoreUnavailableError
from service.accounts import Scope
from service.app import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace

    import httpx
    from starlette.routing import BaseRoute

    from service.parts import Services

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary_in_the_coal_mine"
GENERATES = {
    ("POST", "/v1/completions"): {"prompt": "x"},
    ("POST", "/v1/fim/completions"): {"prompt": "x"},
    ("POST", "/infill"): {"input_prefix": "x"},
}
NEVER_GENERATES = {
    ("GET", "/v1/models"),
    ("GET", "/v1/freshness"),
    ("POST", "/v1/feedback"),
    ("GET", "/v1/models/{model:path}"),
    ("GET", "/v1/index/documents"),
    ("PUT", "/v1/index/documents"),
    ("DELETE", "/v1/index/documents"),
    ("GET", "/v1/index/stamp"),
    ("GET", "/v1/index/stats"),
    ("PUT", "/v1/index/expiry"),
    ("GET", "/v1/leaks"),
    ("GET", "/v1/alerts"),
    ("GET", "/v1/leaks/export"),
    ("GET", "/v1/leaks/{leak_id}"),
    ("POST", "/v1/leaks/{leak_id}/disposition"),
    ("GET", "/v1/exceptions"),
    ("POST", "/v1/exceptions"),
    ("DELETE", "/v1/exceptions/{exception_id}"),
    ("GET", "/v1/webhook"),
    ("PUT", "/v1/webhook"),
    ("DELETE", "/v1/webhook"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/console"),
    ("GET", "/console/inventory"),
    ("GET", "/console/leaks"),
    ("GET", "/console/leaks/export"),
    ("GET", "/console/leaks/news"),
    ("GET", "/console/leaks/{leak_id}"),
    ("POST", "/console/leaks/dispositions"),
    ("POST", "/console/leaks/{leak_id}/disposition"),
    ("POST", "/console/leaks/{leak_id}/exception"),
    ("GET", "/console/exceptions"),
    ("POST", "/console/exceptions/{exception_id}/revoke"),
    ("GET", "/console/ledger"),
    ("POST", "/console/ledger/verify"),
    ("GET", "/console/oidc/callback"),
    ("GET", "/console/oidc"),
    ("GET", "/console/sign-in"),
    ("POST", "/console/sign-in"),
    ("POST", "/console/sign-out"),
    ("GET", "/console/static/{name}"),
    ("GET", "/console/{path:path}"),
}
# What there is none of without a name, or where nobody set it up.
NAMES = {"{name}": "console.css", "{path:path}": ""}
THERE_IS_NONE = ("there is no leak", "there is no exception", "acme has no webhook")
NOT_SET_UP = {"/console/oidc", "/console/oidc/callback"}
STREAMED = pytest.mark.parametrize("stream", [False, True])
ROUTES = pytest.mark.parametrize("route", GENERATES, ids=lambda route: route[1])


def routes_of(router: Any) -> Iterator[BaseRoute]:  # noqa: ANN401 - an application, or what it includes
    """Every route, also of included routers, which FastAPI keeps as such from 0.138 on."""
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from routes_of(included)


def test_every_route_is_known_here(services: Services) -> None:
    found = set()
    for route in routes_of(create_app(services)):
        assert isinstance(route, Route), f"{route} is not a plain route: say here what it gives out"
        found |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
    assert found == set(GENERATES) | NEVER_GENERATES


def test_every_route_that_generates_is_counted_and_has_a_deadline(services: Services) -> None:
    seen = set()
    for route in routes_of(create_app(services)):
        if isinstance(route, APIRoute) and any((method, route.path) in GENERATES for method in route.methods):
            calls = {getattr(each.call, "__qualname__", "") for each in route.dependant.dependencies}
            assert calls == {"limited.<locals>.caller", "requested_deadline"}, route.path
            seen.add(route.path)
    assert seen == {path for _, path in GENERATES}


@pytest.fixture
def canary(world: SimpleNamespace) -> SimpleNamespace:
    world.engine.texts = [f"{CANARY}\n"]
    return world


def ask(world: SimpleNamespace, route: tuple[str, str], *, stream: bool) -> httpx.Response:
    method, path = route
    reply: httpx.Response = world.client.request(method, path, json={**GENERATES[route], "stream": stream})
    return reply


@STREAMED
@ROUTES
def test_text_comes_with_its_decision_on_record(
    canary: SimpleNamespace, route: tuple[str, str], *, stream: bool
) -> None:
    reply = ask(canary, route, stream=stream)
    assert reply.status_code == 200
    entry = canary.ledger.get(reply.headers["X-Cleanroom-Decision"])
    assert entry.record.released_characters == len(CANARY) + 1
    assert [query.text for query in canary.guard.queries][-1] == f"{CANARY}\n"


@STREAMED
@ROUTES
def test_text_comes_through_the_pipeline_or_not_at_all(
    canary: SimpleNamespace, route: tuple[str, str], monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    """With a pipeline that lets nothing by, the route has no text of its own."""
    asked = []

    async def complete(_: object, request: object) -> None:
        asked.append(request)
        raise StoreUnavailableError

    async def streamed(_: object, request: object) -> Any:  # noqa: ANN401 - it never gives anything
        asked.append(request)
        raise StoreUnavailableError
        yield

    monkeypatch.setattr("service.pipeline.Pipeline.complete", complete)
    monkeypatch.setattr("service.pipeline.Pipeline.stream", streamed)
    reply = ask(canary, route, stream=stream)
    assert reply.status_code == 500
    assert CANARY not in reply.text
    assert len(asked) == 1
    assert canary.engine.asked == []


@pytest.mark.parametrize("route", sorted(NEVER_GENERATES), ids=" ".join)
def test_other_routes_ask_no_engine(canary: SimpleNamespace, route: tuple[str, str]) -> None:
    canary.engine.model = CANARY[:6]
    key = canary.accounts.create_key("acme", frozenset(Scope))[1]
    method, path = route
    for field, value in {**NAMES, "{model:path}": canary.engine.model}.items():
        path = path.replace(field, value)
    reply = canary.client.request(
        method,
        path,
        json={"prompt": "x", "input_prefix": "x"} if method != "GET" else None,
        headers={"Authorization": f"Bearer {key}"},
    )
    # A leak or an exception that is not there says so itself; a route that is not there says where to read of routes.
    if path in NOT_SET_UP:
        assert "not set up here" in reply.text
        return
    assert reply.status_code != 404 or reply.json()["error"]["message"].startswith(THERE_IS_NONE)
    assert CANARY not in reply.text
    assert canary.engine.asked == []


def test_nothing_but_the_pipeline_asks_an_engine_to_generate() -> None:
    callers = set()
    for package in ("service", "lsp", "guard", "published"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            names |= {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            if "generate" in names:
                callers.add(path.relative_to(ROOT).as_posix())
    # The second measures what the first asks for: `observed` wraps the engine for the pipeline, and for nobody else.
    assert callers == {"service/writing.py", "service/observation.py"}
    assert "Pipeline(observed(services))" in (ROOT / "service/app.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["service/routes", "service/cli"])
def test_routes_and_commands_reach_text_through_the_pipeline_alone(folder: str) -> None:
    """Neither knows what writes drafts or what lets them out."""
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in {"service.writing", "service.draft", "service.outlet"}, path
