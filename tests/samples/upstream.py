"""A server that speaks OpenAI's protocol for tests of the engine: whole streams, refusals and bad answers."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from service.engines.openai import OpenAIEngine
from service.engines.protocol import Chunk, EnginePrompt, Sampling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    "half-a-character": [b'data: {"choices": [{"text": "\\ud83d"}]}\n\n'],
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
    healthy: bool = True
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

    @app.get("/health")
    async def health() -> Response:
        return Response(status_code=200 if upstream.healthy else 503)

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
