"""`POST /v1/completions`: the pipeline's answers in the shape of the OpenAI API, whole or as a stream.

Knows no engine and no guard: every character of generated text comes out of `Pipeline.complete`.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Annotated, cast

import structlog
from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import JSONResponse, Response, StreamingResponse

from service.accounts import Caller, Scope
from service.auth import requires
from service.routes.connection import while_connected
from service.schemas import ChoiceBody, CompletionBody, CompletionReply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.parts import Services
    from service.pipeline import Completion, Pipeline

DECISION_HEADER = "X-Cleanroom-Decision"
# Nginx's word for a request whose client left; nobody reads it but the log.
CLIENT_CLOSED_REQUEST = 499

router = APIRouter()


@router.post("/v1/completions", response_model=None)
async def create_completion(
    request: Request, body: CompletionBody, caller: Annotated[Caller, Depends(requires(Scope.COMPLETE))]
) -> Response:
    """Continue a prompt, or fill the gap between prompt and suffix."""
    structlog.contextvars.bind_contextvars(org=caller.org, key=caller.key_id)
    services = cast("Services", request.app.state.services)
    pipeline = cast("Pipeline", request.app.state.pipeline)
    order = body.request(caller, services.engine.model, services.settings)
    completion = await while_connected(request, pipeline.complete(order))
    if completion is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    reply = CompletionReply(
        id=f"cmpl-{secrets.token_hex(12)}", created=int(time.time()), model=completion.model, choices=[]
    )
    headers = {DECISION_HEADER: ", ".join(choice.decision_id for choice in completion.choices)}
    echoes = [prompt if body.echo else "" for prompt in body.prompt for _ in range(body.n)]
    if body.stream:
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        # The guard has spoken over all of it before the first byte, so failures still had a status of their own.
        events = _events(reply, completion, echoes, with_usage=with_usage)
        headers["X-Accel-Buffering"] = "no"
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    choices = [
        ChoiceBody.of(index, choice, echo + choice.text)
        for index, (choice, echo) in enumerate(zip(completion.choices, echoes, strict=True))
    ]
    whole = reply.model_copy(update={"choices": choices, "usage": Usage.of(completion)})
    return JSONResponse(whole.model_dump(), headers=headers)


async def _events(
    reply: CompletionReply, completion: Completion, echoes: list[str], *, with_usage: bool
) -> AsyncIterator[str]:
    """Server-sent events: the text line by line, so that editors draw as it comes, then how each choice ended."""
    for index, (choice, echo) in enumerate(zip(completion.choices, echoes, strict=True)):
        for line in (echo + choice.text).splitlines(keepends=True):
            yield _event(reply, [ChoiceBody(index=index, text=line)])
        yield _event(reply, [ChoiceBody.of(index, choice, "")])
    if with_usage:
        yield _event(reply, [], Usage.of(completion))
    yield "data: [DONE]\n\n"


def _event(reply: CompletionReply, choices: list[ChoiceBody], usage: Usage | None = None) -> str:
    chunk = reply.model_copy(update={"choices": choices, "usage": usage})
    return f"data: {chunk.model_dump_json()}\n\n"
