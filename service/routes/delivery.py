"""How the pipeline's answer reaches a client, whole or as server-sent events, in whichever interface's shape.

Knows no engine and no guard: every character of generated text comes out of `Pipeline`.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import structlog
from fastapi import Depends
from starlette.responses import JSONResponse, Response, StreamingResponse

from service.completion import Piece
from service.deadlines import requested_deadline
from service.errors import ServiceError
from service.routes.connection import each_while_connected, while_connected
from service.routes.failures import detail_of, unforeseen
from service.schemas import ErrorBody, ErrorDetail

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from pydantic import BaseModel
    from starlette.requests import Request

    from service.accounts import Caller
    from service.completion import Choice, Completion, CompletionRequest, Finished
    from service.parts import Services
    from service.pipeline import Pipeline

DECISION_HEADER = "X-Cleanroom-Decision"
# Nginx's word for a request whose client left; nobody reads it but the log.
CLIENT_CLOSED_REQUEST = 499
DONE = "data: [DONE]\n\n"

Deadline = Annotated[float, Depends(requested_deadline)]
"""When the answer must be there, by the event loop's clock."""


class Shape(Protocol):
    """How one interface writes one answer. `ending` is what its streams end with, as it is sent."""

    ending: str

    def whole(self, completion: Completion) -> object:
        """The answer in one, as JSON."""

    def opening(self) -> Iterable[BaseModel]:
        """Events before any text was generated."""

    def piece(self, piece: Piece) -> Iterable[BaseModel]:
        """Events of a piece of text."""

    def finished(self, item: Finished, rest: str) -> Iterable[BaseModel]:
        """Events of the `rest` of a choice's text, which no piece had, and of its end."""

    def closing(self, completion: Completion) -> Iterable[BaseModel]:
        """Events after the last choice has ended."""


def services_for(request: Request, caller: Caller) -> Services:
    """The parts that answer `request`, whose log lines name the caller from here on."""
    structlog.contextvars.bind_contextvars(org=caller.org, key=caller.key_id)
    return cast("Services", request.app.state.services)


async def deliver(request: Request, order: CompletionRequest, shape: Shape, *, stream: bool) -> Response:
    """Have `order` answered while the client is there to read it. Raises what `Pipeline.complete` raises."""
    pipeline = cast("Pipeline", request.app.state.pipeline)
    headers = {DECISION_HEADER: ", ".join(order.decision_ids)}
    if stream:
        items = each_while_connected(request, pipeline.stream(order))
        # Failures have a status of their own as long as nothing has left.
        first = await anext(items, None)
        if first is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        headers["X-Accel-Buffering"] = "no"
        events = _events(_Stream(pipeline, order, first, items), shape)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    completion = await while_connected(request, pipeline.complete(order))
    if completion is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return JSONResponse(shape.whole(completion), headers=headers)


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream of the pipeline whose first item has been taken already."""

    pipeline: Pipeline
    order: CompletionRequest
    first: Piece | Finished
    rest: AsyncGenerator[Piece | Finished, None]


async def _events(stream: _Stream, shape: Shape) -> AsyncIterator[str]:
    """Server-sent events: text as it leaves, then how each choice ended. A failure is the last event."""
    choices: dict[int, Choice] = {}
    sent: defaultdict[int, int] = defaultdict(int)
    expected = len(stream.order.decision_ids)
    async with aclosing(stream.rest) as rest:
        try:
            for body in shape.opening():
                yield event(body)
            item: Piece | Finished | None = stream.first
            while item is not None:
                if isinstance(item, Piece):
                    sent[item.index] += len(item.text)
                    bodies = shape.piece(item)
                else:
                    choices[item.index] = item.choice
                    bodies = shape.finished(item, item.choice.text[sent[item.index] :])
                for body in bodies:
                    yield event(body)
                item = await anext(rest, None)
        except ServiceError as error:
            yield _error(detail_of(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, its message may quote a prompt
            yield _error(unforeseen(error))
            return
    if len(choices) < expected:
        return  # the client has gone
    completion = stream.pipeline.completion(stream.order, tuple(choices[index] for index in range(expected)))
    for body in shape.closing(completion):
        yield event(body)
    if shape.ending:
        yield shape.ending


def event(body: BaseModel) -> str:
    """One server-sent event (WHATWG HTML, section 9.2)."""
    return f"data: {body.model_dump_json()}\n\n"


def _error(detail: ErrorDetail) -> str:
    return event(ErrorBody(error=detail))
