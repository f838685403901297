"""The engine of `serve.py`: an OpenAI-compatible server that writes code of the standard library at a fixed pace.

python serve_upstream.py PORT SECONDS_A_TOKEN
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import sysconfig
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

TEXTS = [path.read_text(errors="replace") for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:60]]
TOKEN = re.compile(r"\s*\w{1,6}|\s*[^\w\s]|\s+")
PORT, PACE = int(sys.argv[1]), float(sys.argv[2])


async def models(_: Request) -> Response:
    """The one model."""
    return JSONResponse({"object": "list", "data": [{"id": "paced", "object": "model"}]})


async def completions(request: Request) -> Response:
    """A stream of as many tokens as were asked for, the same for the same prompt."""
    body = await request.json()
    return StreamingResponse(_events(body), media_type="text/event-stream")


async def _events(body: dict[str, Any]) -> AsyncIterator[str]:
    place = zlib.crc32(body["prompt"].encode())
    text = TEXTS[place % len(TEXTS)]
    tokens = TOKEN.findall(text[place % max(1, len(text) - 4000) :][:4000])[: body["max_tokens"]]
    for token in tokens:
        if PACE:
            await asyncio.sleep(PACE)
        yield f"data: {json.dumps({'choices': [{'index': 0, 'text': token, 'finish_reason': None}]})}\n\n"
    usage = {"prompt_tokens": len(body["prompt"]) // 4, "completion_tokens": len(tokens)}
    yield f"data: {json.dumps({'choices': [{'index': 0, 'text': '', 'finish_reason': 'length'}]})}\n\n"
    yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"


if __name__ == "__main__":
    app = Starlette(routes=[Route("/v1/models", models), Route("/v1/completions", completions, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error")
