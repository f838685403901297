"""A peer of `serve.py`: the least that can be written with FastAPI and httpx, which hands on what an engine answers.

It knows no caller, no guard, no ledger and no limits: what it takes is what these libraries take.

python serve_proxy.py PORT ENGINE_URL
"""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PORT, ENGINE = int(sys.argv[1]), sys.argv[2]


class Asked(BaseModel):
    """What a client sends."""

    prompt: str
    max_tokens: int = 16
    stream: bool = False


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=ENGINE, timeout=60, limits=limits) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=_lifespan)


@app.get("/v1/models")
async def models() -> Response:
    """What the engine lists."""
    return JSONResponse((await app.state.client.get("/v1/models")).json())


@app.post("/v1/completions")
async def completions(asked: Asked) -> Response:
    """Hand on the engine's stream, or its texts as one."""
    if asked.stream:
        return StreamingResponse(_lines(asked), media_type="text/event-stream")
    texts = [json.loads(line[6:])["choices"] async for line in _lines(asked) if line.startswith("data: {")]
    return JSONResponse({"choices": [{"index": 0, "text": "".join(one[0]["text"] for one in texts if one)}]})


async def _lines(asked: Asked) -> AsyncIterator[str]:
    body = asked.model_dump() | {"stream": True}
    async with app.state.client.stream("POST", "/v1/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            if line:
                yield f"{line}\n\n"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error")
