from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from guard.errors import StoreUnavailableError

if TYPE_CHECKING:
    from types import SimpleNamespace

    import httpx

STREAMED = pytest.mark.parametrize("stream", [False, True])

JSON = {"Content-Type": "application/json"}


def post(world: SimpleNamespace, **body: object) -> httpx.Response:
    # The client's own encoder cannot write half a character.
    content = json.dumps({"prompt": "def f():\n", **body})
    reply: httpx.Response = world.client.post("/v1/fim/completions", content=content, headers=JSON)
    return reply


def choice_of(reply: httpx.Response) -> tuple[str, dict[str, Any]]:
    """Text and end of the one choice, streamed or not."""
    if not reply.headers["content-type"].startswith("text/event-stream"):
        (choice,) = reply.json()["choices"]
        return choice["message"]["content"], choice
    assert reply.text.endswith("data: [DONE]\n\n")
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    assert len({event["id"] for event in events}) == 1
    text = "".join(event["choices"][0]["delta"]["content"] for event in events)
    assert [event["choices"][0]["finish_reason"] for event in events[:-1]] == [None] * (len(events) - 1)
    assert "usage" in events[-1]
    return text, events[-1]["choices"][0]


def test_answer(world: SimpleNamespace) -> None:
    reply = post(
        world,
        model="scripted-1",
        suffix="\nreturn x",
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        stop="a",
        random_seed=3,
    )
    assert reply.status_code == 200
    body = reply.json()
    decision = body["choices"][0].pop("decision")
    message = {"role": "assistant", "content": "return 1\n", "tool_calls": None}
    assert body["choices"] == [{"index": 0, "message": message, "finish_reason": "length"}]
    assert (body["object"], body["model"]) == ("chat.completion", "scripted-1")
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert reply.headers["X-Cleanroom-Decision"] == decision
    assert world.ledger.get(decision).record.surface == "fim"
    prompt, sampling = world.engine.asked[0]
    assert (prompt.text, prompt.suffix) == ("def f():\n", "\nreturn x")
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (5, 0.5, 0.9)
    assert (sampling.stop, sampling.seed) == (("a",), 3)


@STREAMED
@pytest.mark.parametrize(
    ("text", "left", "reason", "filtered"),
    [
        ("a\nb\n", "a\nb\n", "length", None),
        ("a\nCITED\n", "a\nCITED\n", "length", False),
        ("a\nDENIED\n", "a", "content_filter", True),
        ("a\nPRIVATE\n", "a", "stop", None),
    ],
)
def test_what_leaves_and_what_is_told(
    world: SimpleNamespace, text: str, left: str, reason: str, *, filtered: bool | None, stream: bool
) -> None:
    world.engine.texts = [text]
    reply = post(world, stream=stream)
    got, end = choice_of(reply)
    assert (got, end["finish_reason"]) == (left, reason)
    results = end.get("content_filter_results")
    assert (results["protected_material_code"]["filtered"] if results else None) is filtered
    assert reply.headers["X-Cleanroom-Decision"] == end["decision"]


def test_what_clients_send_beside_is_ignored(world: SimpleNamespace) -> None:
    reply = post(
        world, metadata={"a": 1}, prompt_cache_key="k", min_tokens=None, suffix=None, stop=None, max_tokens=None
    )
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"min_tokens": 3}, "min_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 9999}, "max_tokens"),
        ({"random_seed": -1}, "random_seed"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"prompt": "x" * 200_001}, "prompt"),
    ],
)
def test_bad_field_is_named(world: SimpleNamespace, body: dict[str, Any], param: str) -> None:
    reply = post(world, **body)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param
    assert world.engine.asked == []


@STREAMED
def test_a_guard_that_is_down_refuses(world: SimpleNamespace, *, stream: bool) -> None:
    world.guard.error = StoreUnavailableError("redis://10.0.0.7 is down")
    reply = post(world, stream=stream)
    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "guard_unavailable"


def test_another_model(world: SimpleNamespace) -> None:
    assert post(world, model="codestral-latest").json()["error"]["code"] == "model_not_found"
