from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import SimpleNamespace

    from service.parts import Services


@pytest.mark.parametrize(
    "path", ["/", "/docs/", "/redoc", "/infill/", "/v1/completions/", "/v1/chat/completions", "/%00"]
)
def test_unknown_route(world: SimpleNamespace, path: str) -> None:
    reply = world.client.post(path, json={})
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"


def test_wrong_method(world: SimpleNamespace) -> None:
    reply = world.client.get("/v1/completions")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert reply.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("HEAD", "/healthz", "GET"),
        ("OPTIONS", "/v1/completions", "POST"),
        ("PUT", "/infill", "POST"),
        ("DELETE", "/v1/models", "GET"),
        ("TRACE", "/v1/fim/completions", "POST"),
        ("POST", "/openapi.json", "GET"),
    ],
)
def test_other_methods(world: SimpleNamespace, method: str, path: str, allowed: str) -> None:
    reply = world.client.request(method, path)
    assert (reply.status_code, reply.headers["allow"]) == (405, allowed)
    if method == "HEAD":
        assert reply.content == b""
    else:
        assert reply.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/v1/completions", "/nothing", "/healthz"])
def test_declared_body_over_the_limit(world: SimpleNamespace, path: str) -> None:
    reply = world.client.post(path, content=b"x" * 1_048_577, headers={"Content-Type": "application/json"})
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "body_too_large"
    assert "1048576 bytes" in reply.json()["error"]["message"]
    assert reply.headers["X-Request-Id"]


def test_undeclared_body_over_the_limit(world: SimpleNamespace) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"prompt": "'
        for _ in range(17):
            yield b"x" * 65_536

    reply = world.client.post("/v1/completions", content=parts(), headers={"Content-Type": "application/json"})
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "body_too_large"


def test_limit_is_a_setting(make_services: Callable[..., Services], running: Callable[..., Any], secret: str) -> None:
    body = b'{"prompt": "x"}'.ljust(1024)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
    with running(make_services(max_body_bytes=1024)) as url:
        assert httpx.post(f"{url}/v1/completions", content=body, headers=headers).status_code == 200
        assert httpx.post(f"{url}/v1/completions", content=body + b" ", headers=headers).status_code == 413


def test_request_id_is_made_or_kept(world: SimpleNamespace) -> None:
    first, second = (world.client.get("/healthz").headers["X-Request-Id"] for _ in range(2))
    assert first != second
    assert first.startswith("req_")
    assert world.client.get("/healthz", headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"
    for bad in ("a b", "x" * 65, '"'):
        assert world.client.get("/healthz", headers={"X-Request-Id": bad}).headers["X-Request-Id"].startswith("req_")


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/nothing"])
def test_headers(world: SimpleNamespace, path: str) -> None:
    headers = world.client.get(path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
