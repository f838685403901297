"""Log probabilities: of drawn tokens in the released text, and of nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import SimpleNamespace

STREAMED = pytest.mark.parametrize("stream", [False, True])


def ask(world: SimpleNamespace, **body: object) -> dict[str, Any]:
    """The one choice, of a stream put together."""
    reply = world.client.post("/v1/completions", json={"prompt": "x", "logprobs": 5, **body})
    assert reply.status_code == 200, reply.text
    if not body.get("stream"):
        (choice,) = reply.json()["choices"]
        return dict(choice)
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    choices = [choice for event in events for choice in event["choices"]]
    whole = {**choices[-1], "text": "".join(choice["text"] for choice in choices)}
    told = [choice["logprobs"] for choice in choices if choice["logprobs"]]
    whole["logprobs"] = {name: [value for each in told for value in each[name]] for name in told[0]}
    return whole


@STREAMED
def test_shape(world: SimpleNamespace, *, stream: bool) -> None:
    world.engine.texts = ["a = 1\nb = 2\n"]
    logprobs = ask(world, stream=stream)["logprobs"]
    assert logprobs["tokens"] == ["a = ", "1\nb ", "= 2\n"]
    assert logprobs["token_logprobs"] == [-0.125, -0.25, -0.375]
    assert logprobs["text_offset"] == [0, 4, 8]
    assert logprobs["top_logprobs"] == [{"a = ": -0.125}, {"1\nb ": -0.25}, {"= 2\n": -0.375}]


@STREAMED
def test_alternatives_are_never_shown_nor_asked_for(world: SimpleNamespace, *, stream: bool) -> None:
    world.engine.texts = ["a\nb\n" * 30]
    assert "UNSEEN" not in json.dumps(ask(world, stream=stream))
    assert world.engine.asked[0][1].logprobs == 0


@STREAMED
@pytest.mark.parametrize("piece", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("word", ["PRIVATE", "DENIED"])
def test_what_is_kept_back_is_not_told(world: SimpleNamespace, piece: int, word: str, *, stream: bool) -> None:
    world.engine.texts, world.engine.piece = [f"first = 1\nsecond = 2\n{word} = 3\nlast = 4\n"], piece
    choice = ask(world, stream=stream)
    assert choice["text"] == "first = 1\nsecond = 2"
    assert choice["text"].startswith("".join(choice["logprobs"]["tokens"]))


@STREAMED
@pytest.mark.parametrize("piece", [1, 2, 3, 4, 9])
def test_a_cut_for_private_code_looks_like_a_text_that_stopped(
    world: SimpleNamespace, piece: int, *, stream: bool
) -> None:
    """Where a cut falls on the end of a token: all that is told is equal."""
    world.engine.piece = piece
    world.engine.texts = ["second = 2\n".ljust(18, "\n") + "PRIVATE\n"]
    cut = ask(world, stream=stream)
    world.engine.texts, world.engine.finish_reason = [cut["text"]], "stop"
    stopped = ask(world, stream=stream)
    told = stopped["logprobs"]["tokens"]
    assert cut["finish_reason"] == stopped["finish_reason"] == "stop"
    assert cut["logprobs"]["tokens"][: len(told)] == told[: len(cut["logprobs"]["tokens"])]
    # Neither tells the token at the end, which would be missing from the one alone.
    assert len("".join(told)) < len(cut["text"])
    assert len("".join(cut["logprobs"]["tokens"])) < len(cut["text"])


def test_each_chunk_tells_of_text_that_has_come(world: SimpleNamespace) -> None:
    world.engine.texts, world.engine.piece = ["value = 1\n" * 40], 3
    body = {"prompt": "x", "logprobs": 0, "stream": True, "n": 2}
    events = world.client.post("/v1/completions", json=body).text.splitlines()
    texts, told = ["", ""], ["", ""]
    for line in events:
        for choice in json.loads(line[6:])["choices"] if line.startswith("data: {") else ():
            index = choice["index"]
            texts[index] += choice["text"]
            if choice["logprobs"]:
                assert choice["logprobs"]["text_offset"][:1] in ([], [len(told[index])])
                told[index] += "".join(choice["logprobs"]["tokens"])
            assert texts[index].startswith(told[index])
    assert texts == told == ["value = 1\n" * 40] * 2


@STREAMED
def test_steered_text_is_told_as_it_left(world: SimpleNamespace, *, stream: bool) -> None:
    world.engine.steers = True
    world.engine.texts = ["one\nPRIVATE\n", "two\n"]
    choice = ask(world, stream=stream)
    assert choice["text"] == "one\ntwo\n"
    assert "".join(choice["logprobs"]["tokens"]) == "one\ntwo\n"


def test_without_them_nothing_is_told(world: SimpleNamespace) -> None:
    assert ask(world, logprobs=None)["logprobs"] is None
    assert world.engine.asked[0][1].logprobs is None


def test_an_engine_that_has_none_is_named(world: SimpleNamespace) -> None:
    world.engine.tells_logprobs = False
    reply = world.client.post("/v1/completions", json={"prompt": "x", "logprobs": 0})
    assert reply.status_code == 400
    assert "'scripted'" in reply.json()["error"]["message"]
    assert world.engine.asked == []
