"""Whether a completion that was kept may be shown again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.errors import StoreUnavailableError
from guard.licenses import LicenseAction, LicenseCategory, LicensePolicy
from service.accounts import Scope

if TYPE_CHECKING:
    from types import SimpleNamespace


def word(world: SimpleNamespace) -> str:
    reply = world.client.get("/v1/freshness")
    assert reply.status_code == 200, reply.text
    index: str = reply.json()["index"]
    return index


def answered(world: SimpleNamespace) -> str | None:
    reply = world.client.post("/v1/completions", json={"prompt": "x = "}, headers={"X-Cleanroom-Index": "?"})
    assert reply.status_code == 200
    named: str | None = reply.headers.get("X-Cleanroom-Index")
    return named


def test_an_answer_names_the_state_that_freshness_tells(world: SimpleNamespace) -> None:
    assert answered(world) == word(world) == word(world)
    assert "X-Cleanroom-Index" not in world.client.post("/v1/completions", json={"prompt": "x = "}).headers


def test_the_word_changes_with_index_models_and_policy(world: SimpleNamespace) -> None:
    words = [word(world)]
    world.guard.standing = b"another"
    words.append(word(world))
    world.engine.adapters = ("acme-style",)
    words.append(word(world))
    policy = LicensePolicy.of({LicenseCategory.STRONG_COPYLEFT: LicenseAction.ALLOW})
    world.accounts.set_policy("acme", policy)
    try:
        words.append(word(world))
    finally:
        world.accounts.set_policy("acme", LicensePolicy.default())
    assert len(set(words)) == len(words)


def test_where_the_state_is_unknown_nothing_is_said(world: SimpleNamespace) -> None:
    world.guard.error = StoreUnavailableError("away")
    reply = world.client.get("/v1/freshness")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "guard_unavailable")
    reply = world.client.post("/v1/completions", json={"prompt": "x"}, headers={"X-Cleanroom-Index": "?"})
    assert reply.status_code == 503
    assert "X-Cleanroom-Index" not in reply.headers


def test_a_key_that_may_not_complete_learns_nothing(world: SimpleNamespace) -> None:
    key = world.accounts.create_key("acme", frozenset({Scope.INDEX}))[1]
    reply = world.client.get("/v1/freshness", headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 403
