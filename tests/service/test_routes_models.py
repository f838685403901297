from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.accounts import Scope
from service.errors import SetupError
from service.offering import require_offered

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from samples.scripted import ScriptedEngine

    from service.accounts import Accounts
    from service.parts import Services


def test_served_model_is_listed(world: SimpleNamespace) -> None:
    body = world.client.get("/v1/models").json()
    (model,) = body["data"]
    created = model.pop("created")
    assert isinstance(created, int)
    assert model == {"id": "scripted-1", "object": "model", "owned_by": "cleanroom"}
    assert body["object"] == "list"


def test_adapters_are_listed_and_asked_for_by_name(world: SimpleNamespace) -> None:
    world.engine.adapters = ("acme-style",)
    assert [model["id"] for model in world.client.get("/v1/models").json()["data"]] == ["scripted-1", "acme-style"]
    asked = []
    for model in ("acme-style", "scripted-1", None):
        body = {"prompt": "x", "model": model}
        assert world.client.post("/v1/completions", json=body).status_code == 200
        asked.append(world.engine.asked[-1][1].model)
    assert asked == ["acme-style", "scripted-1", None]
    answer = world.client.post("/v1/completions", json={"prompt": "x", "model": "other"})
    assert answer.status_code == 404


def test_one_model(world: SimpleNamespace) -> None:
    world.engine.model, world.engine.adapters = "org/name", ("acme-style",)
    for model in ("org/name", "acme-style", "org%2Fname"):
        body = world.client.get(f"/v1/models/{model}").json()
        assert body["id"] == model.replace("%2F", "/")
        assert body in world.client.get("/v1/models").json()["data"]


def test_a_model_that_is_not_served(world: SimpleNamespace) -> None:
    for path in ("/v1/models/org/other", "/v1/models/" + "x" * 5000, "/v1/models/"):
        reply = world.client.get(path)
        assert reply.status_code == 404
        assert reply.json()["error"]["code"] == "model_not_found"
        assert len(reply.text) < 1000


GENERATING = {
    "/v1/completions": {"prompt": "x"},
    "/v1/fim/completions": {"prompt": "x"},
    "/infill": {"input_prefix": "x", "n_predict": 0},
}


def test_an_adapter_kept_for_one_organization_is_not_there_for_others(
    make_services: Callable[..., Services], running: Callable[..., Any], engine: ScriptedEngine, accounts: Accounts
) -> None:
    engine.adapters = ("acme-style", "shared")
    services = make_services(model_orgs={"acme-style": ["acme"]})
    with running(services) as url:
        for org, listed in (("acme", ["scripted-1", "acme-style", "shared"]), ("globex", ["scripted-1", "shared"])):
            key = accounts.create_key(org, frozenset({Scope.COMPLETE}))[1]
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
                assert [model["id"] for model in client.get("/v1/models").json()["data"]] == listed
                statuses = {client.get("/v1/models/acme-style").status_code}
                for path, body in GENERATING.items():
                    reply = client.post(path, json=body | {"model": "acme-style"})
                    statuses.add(reply.status_code)
                    assert client.post(path, json=body | {"model": "shared"}).status_code == 200
                    assert client.post(path, json=body).status_code == 200
                assert statuses == {200 if org == "acme" else 404}
                other = client.post("/v1/completions", json={"prompt": "x", "model": "other"})
                # What is kept for others and what nobody has look the same.
                if org == "globex":
                    told = client.post("/v1/completions", json={"prompt": "x", "model": "acme-style"}).json()["error"]
                    assert told["message"].replace("acme-style", "other") == other.json()["error"]["message"]


def test_a_base_kept_for_one_organization_is_not_what_others_get_unnamed(
    make_services: Callable[..., Services], running: Callable[..., Any], engine: ScriptedEngine, accounts: Accounts
) -> None:
    engine.adapters = ("shared",)
    key = accounts.create_key("globex", frozenset({Scope.COMPLETE}))[1]
    headers = {"Authorization": f"Bearer {key}"}
    with running(make_services(model_orgs={"scripted-1": ["acme"]})) as url:
        reply = httpx.post(f"{url}/v1/completions", json={"prompt": "x"}, headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
        assert "'shared'" in reply.json()["error"]["message"]
    assert engine.asked == []


def test_a_name_that_is_not_served_cannot_be_kept(make_services: Callable[..., Services]) -> None:
    """Misspelt, it would leave the model open to all."""
    with pytest.raises(SetupError, match=r"CLEANROOM_MODEL_ORGS names 'acme-stile'.*scripted-1"):
        require_offered(make_services(model_orgs={"acme-stile": ["acme"]}))
