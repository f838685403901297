from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from samples.upstream import (
    KEY,
    SECRET,
    Upstream,
    ask,
)

from service.cli.opening import engine_of
from service.engines.openai import OpenAIEngine
from service.engines.protocol import EnginePrompt, Sampling
from service.errors import ContextLengthError, EngineError, EngineUnavailableError, SetupError
from service.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_refused_key_is_a_matter_of_setup(upstream: Upstream) -> None:
    with pytest.raises(SetupError, match=r"refuses the API key \(401\)"):
        asyncio.run(OpenAIEngine(upstream.url, "normal", "wrong").start())


def test_nobody_listening_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EngineUnavailableError, match=rf"127\.0\.0\.1:{port}/v1 cannot be reached"):
        asyncio.run(OpenAIEngine(f"http://127.0.0.1:{port}/v1", "normal").start())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("unfinished", "in the middle of a generation"),
        ("no-stream", "in the middle of a generation"),
        ("garbage", "no JSON"),
        ("a-list", "no JSON"),
        ("no-choices", "without choices"),
        ("odd-choice", "without choices"),
        ("odd-text", "text is no string"),
        ("half-a-character", "text is no string"),
        ("not-utf-8", "not UTF-8"),
        ("endless-line", "line of more than"),
        ("error-in-stream", "failed while generating: worker died"),
        ("dies", "broke the connection off"),
        ("401", "answered 401: bad key"),
        ("500", "answered 500;"),
        ("302", "answered 302;"),
        ("enormous", "answered 500;"),
        ("bad-request", "answered 400: suffix is not supported"),
    ],
)
def test_what_goes_wrong_is_an_engine_error(model: str, message: str, upstream: Upstream) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        ask(upstream, model)
    assert caught.value.status == 502
    assert SECRET not in str(caught.value)


def test_a_busy_server_is_unavailable(upstream: Upstream) -> None:
    with pytest.raises(EngineUnavailableError, match="answered 429: slow down; retry later"):
        ask(upstream, "429")


def test_a_servers_words_are_cut_short(upstream: Upstream) -> None:
    with pytest.raises(EngineError) as caught:
        ask(upstream, "verbose")
    assert str(caught.value).count("x") < 210


@pytest.mark.parametrize("model", ["too-long-vllm", "too-long-openai", "too-long-llama"])
def test_a_prompt_too_long_for_the_server_is_the_callers_error(model: str, upstream: Upstream) -> None:
    with pytest.raises(ContextLengthError, match=r"finds the prompt too long: .*shorten it") as caught:
        ask(upstream, model)
    assert caught.value.param == "prompt"


def test_more_tokens_than_the_window_are_not_even_asked_for(upstream: Upstream) -> None:
    with pytest.raises(ContextLengthError, match="max_tokens is 4096"):
        ask(upstream, sampling=Sampling(max_tokens=4096))
    assert upstream.bodies == []


def test_a_hung_server_is_given_up(upstream: Upstream) -> None:
    with pytest.raises(EngineError, match=r"sent nothing for 0\.2 s"):
        ask(upstream, "hang", read_timeout=0.2)


def test_how_long_a_server_may_be_silent_is_a_setting(upstream: Upstream, tmp_path: Path) -> None:
    given = {"engine": "openai", "engine_url": upstream.url, "engine_api_key": KEY, "model": "hang"}
    engine = engine_of(Settings.model_validate(given | {"home": tmp_path, "engine_read_timeout": 0.2}))

    async def asked() -> None:
        await engine.start()
        try:
            async with aclosing(engine.generate(EnginePrompt.plain("x = "), Sampling())) as pieces:
                async for _ in pieces:
                    pass
        finally:
            await engine.close()

    with pytest.raises(EngineError, match=r"sent nothing for 0\.2 s.*CLEANROOM_ENGINE_READ_TIMEOUT"):
        asyncio.run(asked())


def test_the_server_notices_a_closed_stream(upstream: Upstream) -> None:
    async def leave() -> None:
        engine = OpenAIEngine(upstream.url, "endless", KEY)
        await engine.start()
        async with aclosing(engine.generate(EnginePrompt.plain("a"), Sampling())) as stream:
            async for chunk in stream:
                assert chunk.text == "again "
                break
        # The engine stays open: it was the stream that was closed.
        assert await asyncio.to_thread(upstream.left.wait, 20)
        await engine.close()

    asyncio.run(leave())
