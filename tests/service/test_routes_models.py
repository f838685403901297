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
