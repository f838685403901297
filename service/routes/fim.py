"""`POST /v1/fim/completions`: the pipeline's answers in the shape of Mistral's API. Knows no engine and no guard."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Body, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import Response  # noqa: TC002 - as above

from service.accounts import Caller, Scope
from service.auth import limited
from service.fim_schemas import AssistantMessage, Delta, FimBody, FimChoice, FimChunk, FimDelta, FimReply
from service.routes import examples
from service.routes.delivery import DONE, Deadline, deliver, services_for
from service.schemas import ContentFilterResults, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.completion import Completion, Finished, Piece

router = APIRouter(tags=["completions"])


@router.post("/v1/fim/completions", response_model=None, responses=examples.responses(FimReply, examples.FIM))
async def create_fim_completion(
    request: Request,
    body: Annotated[FimBody, Body(openapi_examples=examples.FIM.requests())],
    caller: Annotated[Caller, Depends(limited(Scope.COMPLETE))],
    deadline: Deadline,
) -> Response:
    """Fill the gap between prompt and suffix; Mistral's interface."""
    services = services_for(request, caller)
    order = body.order(caller, services, deadline)
    shape = FimShape(order.sampling.model or services.engine.model)
    return await deliver(request, order, shape, stream=body.stream)


class FimShape:
    """An answer in the shape of Mistral's API."""

    ending = DONE

    def __init__(self, model: str) -> None:
        self._id = f"cmpl-{secrets.token_hex(12)}"
        self._created = int(time.time())
        self._model = model

    def whole(self, completion: Completion) -> object:
        """The answer in one."""
        (choice,) = completion.choices
        body = FimChoice(
            message=AssistantMessage(content=choice.text),
            finish_reason=choice.finish_reason,
            decision=choice.decision_id,
            content_filter_results=ContentFilterResults.of(choice.finding),
        )
        reply = FimReply(
            id=self._id, created=self._created, model=self._model, choices=[body], usage=Usage.of(completion)
        )
        return reply.model_dump()

    def opening(self) -> Iterator[FimChunk]:
        """The role of who speaks, before a word."""
        yield self._chunk(FimDelta(delta=Delta(role="assistant", content="")))

    def piece(self, piece: Piece) -> Iterator[FimChunk]:
        """Text."""
        yield self._chunk(FimDelta(delta=Delta(content=piece.text)))

    def finished(self, item: Finished, rest: str) -> Iterator[FimChunk]:
        """The rest of the text, line by line."""
        del item
        for line in rest.splitlines(keepends=True):
            yield self._chunk(FimDelta(delta=Delta(content=line)))

    def closing(self, completion: Completion) -> Iterator[FimChunk]:
        """How it ended, and the usage."""
        (choice,) = completion.choices
        end = FimDelta(
            delta=Delta(content=""),
            finish_reason=choice.finish_reason,
            decision=choice.decision_id,
            content_filter_results=ContentFilterResults.of(choice.finding),
        )
        yield self._chunk(end, Usage.of(completion))

    def _chunk(self, delta: FimDelta, usage: Usage | None = None) -> FimChunk:
        return FimChunk(id=self._id, created=self._created, model=self._model, choices=[delta], usage=usage)
