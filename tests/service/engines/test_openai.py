from __future__ import annotations

import asyncio
from typing import Any

import pytest
from samples.upstream import (
    KEY,
    TEXTS,
    Upstream,
    ask,
)

from service.engines.families import family_named
from service.engines.openai import OpenAIEngine
from service.engines.protocol import EnginePrompt, Sampling
from service.errors import EngineUnavailableError, SetupError
from service.rendering import fill_in_the_middle

"""The engine against a real HTTP server on loopback that misbehaves as its model's name says."""


@pytest.mark.parametrize("model", ["normal", "one-byte-at-a-time", "crlf-and-comments"])
def test_a_stream_comes_whole_and_counted(model: str, upstream: Upstream) -> None:
    chunks = ask(upstream, model)
    assert [chunk.text for chunk in chunks] == [*TEXTS, ""]
    assert sum(chunk.tokens for chunk in chunks) == 9
    assert chunks[-1].finish_reason == "length"
    assert chunks[-1].prompt_tokens == 5


def test_without_usage_pieces_are_counted(upstream: Upstream) -> None:
    chunks = ask(upstream, "no-usage")
    assert sum(chunk.tokens for chunk in chunks) == len(TEXTS)
    assert (chunks[-1].finish_reason, chunks[-1].prompt_tokens) == ("stop", None)


def test_another_reason_to_finish_is_a_stop(upstream: Upstream) -> None:
    assert ask(upstream, "another-cleanroom")[-1].finish_reason == "stop"


def test_the_request_says_what_was_asked(upstream: Upstream) -> None:
    ask(upstream, sampling=Sampling(max_tokens=7, temperature=0.5, top_p=0.9, stop=("\n\n",), seed=3))
    assert upstream.bodies == [
        {
            "model": "normal",
            "prompt": "def f():\n    ",
            "max_tokens": 7,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": ["\n\n"],
            "seed": 3,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


def test_a_suffix_goes_in_its_own_field(upstream: Upstream) -> None:
    ask(upstream, prompt=EnginePrompt.plain("a", "b"), native_suffix=True)
    assert (upstream.bodies[0]["prompt"], upstream.bodies[0]["suffix"]) == ("a", "b")


def test_control_tokens_in_the_callers_words_are_broken_up(upstream: Upstream) -> None:
    family = family_named("qwen2.5-coder")
    assert family is not None
    prompt = EnginePrompt(fill_in_the_middle(family, "a<|fim_middle|>", "b<|endoftext|>"))
    ask(upstream, prompt=prompt, fill_in_the_middle=family)
    ask(upstream, prompt=EnginePrompt.plain("a[PREFIX]", "b<fim_suffix>"), native_suffix=True)
    filled, native = upstream.bodies
    assert filled["prompt"] == "<|fim_prefix|>a< |fim_middle|><|fim_suffix|>b< |endoftext|><|fim_middle|>"
    assert (native["prompt"], native["suffix"]) == ("a[ PREFIX]", "b< fim_suffix>")


def test_a_filled_gap_stops_where_the_next_file_would_begin(upstream: Upstream) -> None:
    family = family_named("codegemma")
    assert family is not None
    ask(upstream, prompt=EnginePrompt(fill_in_the_middle(family, "a", "b")), fill_in_the_middle=family)
    ask(upstream, prompt=EnginePrompt.plain("a"), fill_in_the_middle=family)
    filled, plain = upstream.bodies
    assert {"<|file_separator|>", "<|fim_prefix|>"} <= set(filled["stop"])
    assert "stop" not in plain


def test_model_and_window_are_learned_from_the_server(upstream: Upstream) -> None:
    async def start(**settings: Any) -> OpenAIEngine:  # noqa: ANN401 - settings of the engine
        engine = OpenAIEngine(upstream.url + "/", None, KEY, **settings)
        await engine.start()
        await engine.ready()
        await engine.close()
        return engine

    engine = asyncio.run(start())
    assert (engine.model, engine.context_window) == ("normal", 2048)
    assert asyncio.run(start(context=512)).context_window == 512
    assert asyncio.run(start(fill_in_the_middle=family_named("starcoder"))).fill_in_the_middle is not None


@pytest.mark.parametrize("models", [[], [{"id": "a"}, {"id": "b"}], ["odd"], [{"name": "a"}]])
def test_an_unclear_model_must_be_named(models: list[Any], upstream: Upstream) -> None:
    upstream.models = models
    with pytest.raises(SetupError, match="name the one to use"):
        ask(upstream)
    assert ask(upstream, "normal")


def test_an_engine_that_is_not_started_says_so() -> None:
    engine = OpenAIEngine("http://user:hunter2@127.0.0.1:1/v1", "normal")
    with pytest.raises(EngineUnavailableError, match="not started") as caught:
        asyncio.run(engine.ready())
    assert "hunter2" not in str(caught.value)


def test_a_server_counts_nothing_beforehand() -> None:
    assert asyncio.run(OpenAIEngine("http://127.0.0.1:1/v1", "normal").count_tokens("a b")) is None


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert ask(upstream)[-1].finish_reason == "length"
