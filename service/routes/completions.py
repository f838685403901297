"""`POST /v1/completions`: the pipeline's answers in the shape of the OpenAI API.

Knows no engine and no guard.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Body, Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations at run time
from starlette.responses import Response  # noqa: TC002 - as above

from service.accounts import Caller, Scope
from service.auth import limited
from service.completion_schemas import ChoiceBody, CompletionBody, CompletionReply, LogprobsBody
from service.routes import examples
from service.routes.delivery import DONE, Deadline, deliver, services_for
from service.routes.freshness import note_freshness
from service.schemas import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.completion import Completion, Finished, Piece
    from service.engines.protocol import TokenLogprobs

router = APIRouter(tags=["completions"])


@router.post("/v1/completions", response_model=None, responses=examples.responses(CompletionReply, examples.COMPLETION))
async def create_completion(
    request: Request,
    body: Annotated[CompletionBody, Body(openapi_examples=examples.COMPLETION.requests())],
    caller: Annotated[Caller, Depends(limited(Scope.COMPLETE))],
    deadline: Deadline,
) -> Response:
    """Continue a prompt, or fill the gap between prompt and suffix."""
    services = services_for(request, caller)
    await note_freshness(request, services, caller)
    order = body.order(caller, services, deadline)
    return await deliver(
        request, order, CompletionShape(body, order.sampling.model or services.engine.model), stream=body.stream
    )


class CompletionShape:
    """An answer in the shape of the OpenAI API."""

    ending = DONE

    def __init__(self, body: CompletionBody, model: str) -> None:
        self._reply = CompletionReply(
            id=f"cmpl-{secrets.token_hex(12)}", created=int(time.time()), model=model, choices=[]
        )
        self._echoes = [prompt if body.echo else "" for prompt in body.prompt for _ in range(body.n)]
        self._with_usage = body.stream_options is not None and body.stream_options.include_usage
        self._with_logprobs = body.logprobs is not None
        self._told: defaultdict[int, list[TokenLogprobs]] = defaultdict(list)

    def whole(self, completion: Completion) -> object:
        """The answer in one."""
        choices = [
            ChoiceBody.of(index, choice, echo + choice.text, self._logprobs(index, choice.logprobs))
            for index, (choice, echo) in enumerate(zip(completion.choices, self._echoes, strict=True))
        ]
        return self._chunk(choices, Usage.of(completion)).model_dump()

    def opening(self) -> Iterator[CompletionReply]:
        """The prompts, where they are asked for."""
        for index, echo in enumerate(self._echoes):
            for line in echo.splitlines(keepends=True):
                yield self._chunk([ChoiceBody(index=index, text=line)])

    def piece(self, piece: Piece) -> Iterator[CompletionReply]:
        """Text, and the tokens that are told with it."""
        logprobs = self._logprobs(piece.index, piece.logprobs)
        yield self._chunk([ChoiceBody(index=piece.index, text=piece.text, logprobs=logprobs)])

    def finished(self, item: Finished, rest: str) -> Iterator[CompletionReply]:
        """The rest of the text, line by line unless tokens are told; then how it ended."""
        logprobs = self._logprobs(item.index, item.choice.logprobs[len(self._told[item.index]) :])
        for line in [rest] if logprobs and logprobs.tokens else rest.splitlines(keepends=True):
            yield self._chunk([ChoiceBody(index=item.index, text=line, logprobs=logprobs)])
        yield self._chunk([ChoiceBody.of(item.index, item.choice, "")])

    def closing(self, completion: Completion) -> Iterator[CompletionReply]:
        """The usage, where it is asked for."""
        if self._with_usage:
            yield self._chunk([], Usage.of(completion))

    def _chunk(self, choices: list[ChoiceBody], usage: Usage | None = None) -> CompletionReply:
        return self._reply.model_copy(update={"choices": choices, "usage": usage})

    def _logprobs(self, index: int, tokens: tuple[TokenLogprobs, ...]) -> LogprobsBody | None:
        """The next tokens of choice `index`, if they are asked for."""
        if not self._with_logprobs:
            return None
        told = self._told[index]
        start = sum(len(token.text) for token in told)
        told += tokens
        return LogprobsBody.of(tokens, start)
