"""`POST /infill`: the pipeline's answers in the shape of llama.cpp's server, as its editor plugins ask for them.

Knows no engine and no guard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Body, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import JSONResponse, Response

from service.accounts import Caller, Scope
from service.auth import limited
from service.infill_schemas import InfillBody, InfillPiece, InfillReply, InfillSelection
from service.routes import examples
from service.routes.delivery import Deadline, deliver, services_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import BaseModel

    from service.completion import Completion, Finished, Piece

router = APIRouter(tags=["completions"])


@router.post(
    "/infill", response_model=None, responses=examples.responses(InfillReply | InfillSelection, examples.INFILL)
)
async def create_infill(
    request: Request,
    body: Annotated[InfillBody, Body(openapi_examples=examples.INFILL.requests())],
    caller: Annotated[Caller, Depends(limited(Scope.COMPLETE))],
    deadline: Deadline,
) -> Response:
    """Fill the gap between prefix and suffix; the interface of llama.cpp's server."""
    services = services_for(request, caller)
    order = body.order(caller, services, deadline)
    shape = InfillShape(order.sampling.model or services.engine.model, body.response_fields)
    if body.n_predict == 0:
        # Editors warm a server's prompt cache up so and expect an answer. There is nothing to decide about.
        return JSONResponse(shape.nothing())
    return await deliver(request, order, shape, stream=body.stream)


class InfillShape:
    """An answer in the shape of llama.cpp's server, whose streams just end."""

    ending = ""

    def __init__(self, model: str, fields: Sequence[str]) -> None:
        self._model = model
        self._fields = fields

    def nothing(self) -> object:
        """The answer to a request for no tokens."""
        reply = InfillReply(
            content="",
            model=self._model,
            tokens_predicted=0,
            tokens_evaluated=0,
            stop_type="limit",
            finish_reason="length",
        )
        return selected(reply.model_dump(), self._fields)

    def whole(self, completion: Completion) -> object:
        """The answer in one."""
        (choice,) = completion.choices
        return selected(InfillReply.of(choice, self._model, choice.text).model_dump(), self._fields)

    def opening(self) -> Iterator[BaseModel]:
        """Nothing comes before the text."""
        yield from ()

    def piece(self, piece: Piece) -> Iterator[BaseModel]:
        """Text."""
        yield InfillPiece(content=piece.text)

    def finished(self, item: Finished, rest: str) -> Iterator[BaseModel]:
        """The rest of the text, line by line; then how it ended."""
        for line in rest.splitlines(keepends=True):
            yield InfillPiece(content=line)
        yield InfillReply.of(item.choice, self._model, "")

    def closing(self, completion: Completion) -> Iterator[BaseModel]:
        """Nothing comes after the one choice."""
        del completion
        yield from ()


def selected(answer: Mapping[str, object], fields: Sequence[str]) -> Mapping[str, object]:
    """The `fields` of the answer, or all of it; what it does not have is left out, as llama.cpp does."""
    if not fields:
        return answer
    found = {}
    for name in fields:
        value: object = answer
        for part in name.split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[name] = value
    return found
