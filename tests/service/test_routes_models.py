from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import SimpleNamespace


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
