from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from guard.errors import StoreUnavailableError

if TYPE_CHECKING:
    from types import SimpleNamespace

    import httpx

STREAMED = pytest.mark.parametrize("stream", [False, True])
# What an editor plugin of llama.cpp sends, as of 2025.
PLUGIN = {
    "n_predict": 128,
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "id_slot": 0,
    "lora": [{"id": 0, "scale": 0.5}],
    "response_fields": ["content", "timings/prompt_n", "truncated", "tokens_cached", "frob/nicate"],
}

JSON = {"Content-Type": "application/json"}


def post(world: SimpleNamespace, **body: object) -> httpx.Response:
    # The client's own encoder cannot write half a character.
    content = json.dumps({"input_prefix": "def f():\n", **body})
    reply: httpx.Response = world.client.post("/infill", content=content, headers=JSON)
    return reply


def end_of(reply: httpx.Response) -> tuple[str, dict[str, Any]]:
    """Text and end, streamed or not."""
    if not reply.headers["content-type"].startswith("text/event-stream"):
        body = reply.json()
        return body["content"], body
    assert "[DONE]" not in reply.text
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line]
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]
    return "".join(event["content"] for event in events), events[-1]


def test_answer(world: SimpleNamespace) -> None:
    reply = post(world, prompt="    a", input_suffix="\n", n_predict=5, temperature=0.5, stop=["x"], seed=3)
    assert reply.status_code == 200
    body = reply.json()
    decision = body.pop("decision")
    assert body == {
        "index": 0,
        "content": "return 1\n",
        "tokens": [],
        "stop": True,
        "model": "scripted-1",
        "tokens_predicted": 3,
        "tokens_evaluated": 4,
        "truncated": False,
        "stop_type": "limit",
        "stopping_word": "",
        "finish_reason": "length",
    }
    assert reply.headers["X-Cleanroom-Decision"] == decision
    assert world.ledger.get(decision).record.surface == "infill"
    prompt, sampling = world.engine.asked[0]
    assert (prompt.text, prompt.suffix) == ("def f():\n    a", "\n")
    assert (sampling.max_tokens, sampling.temperature, sampling.stop, sampling.seed) == (5, 0.5, ("x",), 3)
    # The guard sees what stands before the gap as one.
    assert world.guard.queries[0].prefix == "def f():\n    a"


@STREAMED
@pytest.mark.parametrize(
    ("text", "left", "kind", "filtered"),
    [
        ("a\nb\n", "a\nb\n", "limit", None),
        ("a\nCITED\n", "a\nCITED\n", "limit", False),
        ("a\nDENIED\n", "a", "eos", True),
        ("a\nPRIVATE\n", "a", "eos", None),
    ],
)
def test_what_leaves_and_what_is_told(
    world: SimpleNamespace, text: str, left: str, kind: str, *, filtered: bool | None, stream: bool
) -> None:
    world.engine.texts = [text]
    reply = post(world, stream=stream)
    got, end = end_of(reply)
    assert (got, end["stop_type"]) == (left, kind)
    results = end.get("content_filter_results")
    assert (results["protected_material_code"]["filtered"] if results else None) is filtered
    assert reply.headers["X-Cleanroom-Decision"] == end["decision"]


def test_what_plugins_send(world: SimpleNamespace) -> None:
    chunks = [{"text": "A = 1\n", "time": [1, 2], "filename": "pkg/a.js"}, {"text": "B\n", "filename": ""}]
    reply = post(world, input_suffix="\n", input_extra=chunks, **PLUGIN)
    assert reply.json() == {"content": "return 1\n", "truncated": False}
    prompt, sampling = world.engine.asked[0]
    assert prompt.text.index("A = 1") < prompt.text.index("B\n") < prompt.text.index("def f()")
    assert sampling.max_tokens == 128


def test_the_file_that_is_written_is_like_the_last_other(world: SimpleNamespace) -> None:
    post(world, input_extra=[{"text": "A\n", "filename": "a.py"}, {"text": "B\n", "filename": "lib/b.js"}])
    assert "// untitled.js\ndef f()" in world.engine.asked[0][0].text


def test_of_many_pieces_the_last_ones_count(world: SimpleNamespace) -> None:
    post(world, input_extra=[{"text": f"piece{number}\n", "filename": "a.py"} for number in range(40)])
    text = world.engine.asked[0][0].text
    assert "piece39" in text
    assert "piece7\n" not in text


@STREAMED
def test_warming_up_generates_nothing(world: SimpleNamespace, *, stream: bool) -> None:
    extra = [{"text": "A\n", "filename": "a.py"}]
    reply = post(world, input_prefix="", input_extra=extra, n_predict=0, samplers=[], t_max_predict_ms=1, stream=stream)
    assert reply.status_code == 200
    assert (reply.json()["content"], reply.json()["stop"]) == ("", True)
    assert world.engine.asked == []


def test_without_an_end_means_the_servers_limit(world: SimpleNamespace) -> None:
    assert post(world, n_predict=-1, seed=-1).status_code == 200
    sampling = world.engine.asked[0][1]
    assert (sampling.max_tokens, sampling.seed) == (2048, None)


def test_without_an_end_leaves_a_small_window_room_for_the_prompt(world: SimpleNamespace) -> None:
    world.engine.context_window = 512
    assert post(world, n_predict=-1, input_prefix="x = 1\n" * 1000).status_code == 200
    prompt, sampling = world.engine.asked[0]
    assert sampling.max_tokens == 256
    assert prompt.text.endswith("x = 1\n")
    assert 240 * world.engine.piece < len(prompt.text) <= 256 * world.engine.piece


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n_predict": -2}, "n_predict"),
        ({"n_predict": 9999}, "n_predict"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"input_suffix": "\ud800"}, "input_suffix"),
        ({"input_extra": [{"filename": "a", "text": "\ud800"}]}, "input_extra.0.text"),
        ({"input_extra": "a"}, "input_extra"),
        ({"input_prefix": "x" * 200_001}, "input_prefix"),
        ({"response_fields": [1]}, "response_fields.0"),
        ({"seed": -2}, "seed"),
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


def test_a_large_body(world: SimpleNamespace) -> None:
    reply = post(world, input_prefix="x" * 10_000_000)
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")
