"""The engine against a real HTTP server on loopback that misbehaves as its model's name says."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from service.engines.families import family_named
from service.engines.openai import OpenAIEngine
from service.engines.protocol import Chunk, EnginePrompt, Sampling
from service.errors import ContextLengthError, EngineError, EngineUnavailableError, SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KEY = "key of the upstream"
TEXTS = ["retu", "rn 'é😀", "'\n"]
SECRET = "def proprietary(): pass"


def event(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:  # noqa: ANN401 - JSON
    choices = [] if text is None else [{"index": 0, "text": text, "finish_reason": finish}]
    return f"data: {json.dumps({'choices': choices, **more}, ensure_ascii=False)}\n\n".encode()


USAGE = {"prompt_tokens": 5, "completion_tokens": 9}
WHOLE = [*map(event, TEXTS), event("", "length"), event(usage=USAGE), b"data: [DONE]\n\n"]
# What a model of that name answers, piece by piece of the network.
STREAMS: dict[str, list[bytes]] = {
    "normal": WHOLE,
    "one-byte-at-a-time": [bytes([byte]) for byte in b"".join(WHOLE)],
    "crlf-and-comments": [b": ping\r\n\r\nevent: x\r\n", *(piece.replace(b"\n", b"\r\n") for piece in WHOLE)],
    "no-usage": [*map(event, TEXTS), event("", "stop"), b"data: [DONE]\n\n"],
    "another-cleanroom": [event("a"), event("", "content_filter"), b"data: [DONE]\n\n"],
    "unfinished": [event("retu"), b"data: [DONE]\n\n"],
    "garbage": [event("retu"), b"data: <html>\n\n"],
    "a-list": [b"data: [1, 2]\n\n"],
    "no-choices": [b'data: {"hello": 1}\n\n'],
    "odd-choice": [b'data: {"choices": [7]}\n\n'],
    "odd-text": [b'data: {"choices": [{"text": {}}]}\n\n'],
    "not-utf-8": [b'data: {"choices": [{"text": "\xff"}]}\n\n'],
    "endless-line": [b"data: " + b"x" * (1 << 21)],
    "no-stream": [b'{"choices": [{"text": "x", "finish_reason": "stop"}]}'],
    "error-in-stream": [event("retu"), b'data: {"error": {"message": "worker died", "code": 500}}\n\n'],
}


@dataclass
class Upstream:
    """What the server was asked, and whether its last stream was left."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "normal", "max_model_len": 2048}])


def refuse(status: int, body: object) -> Response:
    return JSONResponse(body, status_code=status)


REFUSALS = {
    "401": lambda: refuse(401, {"error": {"message": "bad key"}}),
    "429": lambda: refuse(429, {"error": {"message": "slow down"}}),
    "500": lambda: Response(f"<html>{SECRET}</html>", status_code=500),
    "302": lambda: Response(status_code=302, headers={"Location": "http://127.0.0.1:1/"}),
    "verbose": lambda: refuse(400, {"error": {"message": "x" * 5000}}),
    "enormous": lambda: Response(b"x" * 1_000_000, status_code=500),
    "too-long-vllm": lambda: refuse(400, {"error": {"message": "This model's maximum context length is 10 tokens."}}),
    "too-long-openai": lambda: refuse(400, {"error": {"message": "Too long.", "code": "context_length_exceeded"}}),
    "too-long-llama": lambda: refuse(400, {"error": {"message": "No.", "type": "exceed_context_size_error"}}),
    "bad-request": lambda: refuse(400, {"object": "error", "message": "suffix is not supported"}),
}


async def stream(upstream: Upstream, name: str, request: Request) -> AsyncIterator[bytes]:
    if name == "hang":
        yield event("retu")
        await asyncio.sleep(3600)
    if name == "dies":
        yield event("retu")
        await asyncio.sleep(0.05)
        message = "the worker dies in the middle"
        raise ConnectionAbortedError(message)
    if name == "endless":
        try:
            while not await request.is_disconnected():
                yield event("again ")
                await asyncio.sleep(0.001)
        finally:
            upstream.left.set()
    for piece in STREAMS.get(name, []):
        yield piece
        # Pieces go out one by one, so that characters are really cut.
        await asyncio.sleep(0)


def create_upstream(upstream: Upstream) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": {"message": "no"}}, status_code=401)
        return JSONResponse({"object": "list", "data": upstream.models})

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        body = await request.json()
        upstream.bodies.append(body)
        if body["model"] in REFUSALS:
            return REFUSALS[body["model"]]()
        return StreamingResponse(stream(upstream, body["model"], request), media_type="text/event-stream")

    return app


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    upstream = Upstream()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        config = uvicorn.Config(create_upstream(upstream), log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield upstream
        server.should_exit = True
        thread.join()


@pytest.fixture
def upstream(server: Upstream) -> Upstream:
    server.bodies.clear()
    server.left.clear()
    server.models = [{"id": "normal", "max_model_len": 2048}]
    return server


def ask(
    upstream: Upstream,
    model: str | None = None,
    prompt: EnginePrompt | None = None,
    sampling: Sampling | None = None,
    **settings: Any,  # noqa: ANN401 - settings of the engine
) -> list[Chunk]:
    async def collect() -> list[Chunk]:
        engine = OpenAIEngine(upstream.url, model, KEY, **settings)
        await engine.start()
        try:
            stream = engine.generate(prompt or EnginePrompt.plain("def f():\n    "), sampling or Sampling())
            return [chunk async for chunk in stream]
        finally:
            await engine.close()

    return asyncio.run(collect())


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


def test_cache_salts_tell_organizations_apart_without_naming_them(upstream: Upstream) -> None:
    async def salts() -> list[str]:
        engine = OpenAIEngine(upstream.url, None, KEY, cache_salt=True)
        await engine.start()
        for org in ("acme", "globex", "acme"):
            async with aclosing(engine.generate(EnginePrompt.plain("a", cache_key=org), Sampling())) as stream:
                async for _ in stream:
                    pass
        await engine.close()
        return [body["cache_salt"] for body in upstream.bodies]

    first, second, third = asyncio.run(salts())
    assert first == third != second
    assert "acme" not in first


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
