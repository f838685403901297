"""What is told of tokens is the same for a text that was cut and for one that ended there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import SimpleNamespace

LEAKS = "a = 1\nb = 2\nPRIVATE\n" + "c\n" * 40
SHORTER = "a = 1\nb = 2"
PROMPT_TOKENS = 17


def usage(world: SimpleNamespace, path: str, **body: object) -> tuple[int, int]:
    """Tokens of prompt and text, as the last event of a stream or the whole answer tells them."""
    reply = world.client.post(path, json={"prompt": "def f():\n", **body})
    assert reply.status_code == 200, reply.text
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    last: dict[str, Any] = events[-1] if events else reply.json()
    told = last.get("usage") or last
    names = ("prompt_tokens", "completion_tokens") if "usage" in last else ("tokens_evaluated", "tokens_predicted")
    return told[names[0]], told[names[1]]


STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("body", [{}, STREAMED], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/fim/completions", "/infill"])
@pytest.mark.parametrize("told", ["first", "last"])
def test_a_trimmed_text_counts_as_a_short_one(
    world: SimpleNamespace, path: str, told: str, body: dict[str, object]
) -> None:
    """Also where the stream of a leaking draft is broken off, before an engine's last word."""
    world.engine.prompt_tokens, world.engine.told = PROMPT_TOKENS, told
    world.engine.texts, world.engine.finish_reason = [SHORTER], "stop"
    shorter = usage(world, path, **body)
    world.engine.texts, world.engine.seconds = [LEAKS], 0.005
    assert usage(world, path, **body) == shorter == (PROMPT_TOKENS, 3)


@pytest.mark.parametrize("body", [{}, STREAMED], ids=["whole", "stream"])
@pytest.mark.parametrize("told", ["first", "last"])
def test_a_steered_text_counts_as_one_written_at_once(
    world: SimpleNamespace, told: str, body: dict[str, object]
) -> None:
    """What was written before the leak is prompt to the engine alone."""
    world.engine.prompt_tokens, world.engine.told, world.engine.steers = PROMPT_TOKENS, told, True
    world.engine.texts, world.engine.seconds = [LEAKS, "c = 3\n"], 0.005
    assert usage(world, "/v1/completions", **body)[0] == PROMPT_TOKENS
    assert len(world.engine.asked) == 2
