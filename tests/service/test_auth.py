from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.accounts import Scope
from service.auth import bearer_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import SimpleNamespace

    from service.parts import Services

BODY = {"prompt": "x"}


def ask(world: SimpleNamespace, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{world.url}/v1/completions", json=BODY, headers=headers)


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi", "cr_x", "Bearer\tx"])
def test_no_key(world: SimpleNamespace, header: str) -> None:
    reply = ask(world, {"Authorization": header} if header else {})
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    error = reply.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("authentication_error", "invalid_api_key", None)
    assert "Authorization: Bearer" in error["message"]


@pytest.mark.parametrize("token", ["sk-123", "cr_" + "a" * 12 + "_" + "b" * 43])
def test_unknown_key(world: SimpleNamespace, token: str) -> None:
    reply = ask(world, {"Authorization": f"Bearer {token}"})
    assert reply.status_code == 401
    assert "unknown or revoked" in reply.json()["error"]["message"]
    assert token not in reply.text


def test_scheme_is_read_in_any_case(world: SimpleNamespace) -> None:
    assert ask(world, {"Authorization": f"bearer  {world.secret}"}).status_code == 200
    assert bearer_token("BEARER x ") == "x"


def test_revoked_key_fails_at_the_next_request(world: SimpleNamespace) -> None:
    assert world.client.post("/v1/completions", json=BODY).status_code == 200
    world.accounts.revoke_key(world.secret.split("_")[1])
    assert world.client.post("/v1/completions", json=BODY).status_code == 401


def test_key_of_a_removed_organization_fails(world: SimpleNamespace) -> None:
    world.accounts.add_organization("initech")
    _, secret = world.accounts.create_key("initech", frozenset({Scope.COMPLETE}))
    headers = {"Authorization": f"Bearer {secret}"}
    assert ask(world, headers).status_code == 200
    world.accounts.remove_organization("initech")
    assert ask(world, headers).status_code == 401


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/models"])
def test_wrong_scope(world: SimpleNamespace, path: str) -> None:
    scopes = frozenset(Scope) - {Scope.COMPLETE}
    _, secret = world.accounts.create_key("acme", scopes)
    method = "POST" if path.endswith("completions") else "GET"
    headers = {"Authorization": f"Bearer {secret}"}
    reply = httpx.request(method, world.url + path, headers=headers, json=BODY)
    assert reply.status_code == 403
    error = reply.json()["error"]
    assert (error["type"], error["code"]) == ("permission_error", "missing_scope")
    assert "--org acme --scope complete" in error["message"]
    assert world.engine.asked == []


def test_door_comes_before_the_body_is_judged(world: SimpleNamespace) -> None:
    assert httpx.post(f"{world.url}/v1/completions", json={"n": 0}).status_code == 401


def test_broken_accounts_let_nobody_in(services: Services, running: Callable[[Services], Any], tmp_path: Path) -> None:
    _, secret = services.accounts.create_key("acme", frozenset({Scope.COMPLETE}))
    with running(services) as url:
        connection = sqlite3.connect(tmp_path / "cleanroom.db")
        connection.execute("DROP TABLE api_keys")
        connection.close()
        reply = httpx.post(f"{url}/v1/completions", json=BODY, headers={"Authorization": f"Bearer {secret}"})
    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "accounts_unavailable"
    assert str(tmp_path) not in reply.text
