"""`POST /v1/completions`: the pipeline's answers in the shape of the OpenAI API, whole or as a stream.

Knows no engine and no guard: every character of generated text comes out of `Pipeline`.
"""

from __future__ import annotations

import secrets
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, cast

import structlog
from fastapi import APIRouter, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import JSONResponse, Response, StreamingResponse

from service.accounts import Caller, Scope
from service.auth import limited
from service.completion import Finished, Piece
from service.deadlines import requested_deadline
from service.errors import ServiceError
from service.routes.connection import each_while_connected, while_connected
from service.routes.failures import detail_of, unforeseen
from service.schemas import ChoiceBody, CompletionBody, CompletionReply, ErrorBody, ErrorDetail, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from service.completion import Choice, CompletionRequest
    from service.parts import Services
    from service.pipeline import Pipeline

DECISION_HEADER = "X-Cleanroom-Decision"
# Nginx's word for a request whose client left; nobody reads it but the log.
CLIENT_CLOSED_REQUEST = 499

router = APIRouter()


@router.post("/v1/completions", response_model=None)
async def create_completion(
    request: Request,
    body: CompletionBody,
    caller: Annotated[Caller, Depends(limited(Scope.COMPLETE))],
    deadline: Annotated[float, Depends(requested_deadline)],
) -> Response:
    """Continue a prompt, or fill the gap between prompt and suffix."""
    structlog.contextvars.bind_contextvars(org=caller.org, key=caller.key_id)
    services = cast("Services", request.app.state.services)
    pipeline = cast("Pipeline", request.app.state.pipeline)
    order = replace(body.request(caller, services.engine.models, services.settings), deadline=deadline)
    reply = CompletionReply(
        id=f"cmpl-{secrets.token_hex(12)}",
        created=int(time.time()),
        model=order.sampling.model or services.engine.model,
        choices=[],
    )
    headers = {DECISION_HEADER: ", ".join(order.decision_ids)}
    echoes = [prompt if body.echo else "" for prompt in body.prompt for _ in range(body.n)]
    if body.stream:
        items = each_while_connected(request, pipeline.stream(order))
        # Failures have a status of their own as long as nothing has left.
        first = await anext(items, None)
        if first is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        headers["X-Accel-Buffering"] = "no"
        events = _events(reply, _Stream(pipeline, order, first, items), echoes, with_usage=with_usage)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    completion = await while_connected(request, pipeline.complete(order))
    if completion is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    choices = [
        ChoiceBody.of(index, choice, echo + choice.text)
        for index, (choice, echo) in enumerate(zip(completion.choices, echoes, strict=True))
    ]
    whole = reply.model_copy(update={"choices": choices, "usage": Usage.of(completion)})
    return JSONResponse(whole.model_dump(), headers=headers)


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream of the pipeline whose first item has been taken already."""

    pipeline: Pipeline
    order: CompletionRequest
    first: Piece | Finished
    rest: AsyncGenerator[Piece | Finished, None]


async def _events(
    reply: CompletionReply, stream: _Stream, echoes: list[str], *, with_usage: bool
) -> AsyncIterator[str]:
    """Server-sent events: text as it leaves, then how each choice ended. A failure is the last event."""
    choices: dict[int, Choice] = {}
    async with aclosing(stream.rest) as rest:
        try:
            for index, echo in enumerate(echoes):
                for line in echo.splitlines(keepends=True):
                    yield _event(reply, [ChoiceBody(index=index, text=line)])
            sent = [0] * len(echoes)
            item: Piece | Finished | None = stream.first
            while item is not None:
                for body in _bodies(item, sent):
                    yield _event(reply, [body])
                if isinstance(item, Finished):
                    choices[item.index] = item.choice
                item = await anext(rest, None)
        except ServiceError as error:
            yield _error(detail_of(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, its message may quote a prompt
            yield _error(unforeseen(error))
            return
    if len(choices) < len(echoes):
        return  # the client has gone
    if with_usage:
        completion = stream.pipeline.completion(stream.order, tuple(choices[index] for index in range(len(echoes))))
        yield _event(reply, [], Usage.of(completion))
    yield "data: [DONE]\n\n"


def _bodies(item: Piece | Finished, sent: list[int]) -> Iterator[ChoiceBody]:
    """What of a choice is new: a piece of its text; or, line by line, the rest of it, and how it ended."""
    if isinstance(item, Piece):
        sent[item.index] += len(item.text)
        yield ChoiceBody(index=item.index, text=item.text)
        return
    for line in item.choice.text[sent[item.index] :].splitlines(keepends=True):
        yield ChoiceBody(index=item.index, text=line)
    yield ChoiceBody.of(item.index, item.choice, "")


def _error(detail: ErrorDetail) -> str:
    return f"data: {ErrorBody(error=detail).model_dump_json()}\n\n"


def _event(reply: CompletionReply, choices: list[ChoiceBody], usage: Usage | None = None) -> str:
    chunk = reply.model_copy(update={"choices": choices, "usage": usage})
    return f"data: {chunk.model_dump_json()}\n\n"
