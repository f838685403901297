"""Asks any OpenAI-compatible completion server (vLLM, llama.cpp, another Cleanroom). Knows no model and no guard."""

from __future__ import annotations

from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from service.engines.connection import CONNECT_TIMEOUT, ERROR_LIMIT, READ_TIMEOUT, Connection
from service.engines.events import read_events
from service.engines.one_string import broken_up, one_string, stops_of
from service.engines.protocol import Chunk
from service.engines.upstream import completion_piece, rejection, rejection_in_stream, served_model
from service.engines.window import require_room
from service.errors import EngineError, EngineUnavailableError, SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from published.infilling import FillInTheMiddle
    from service.engines.protocol import EnginePrompt, Sampling


class OpenAIEngine:
    """`POST /v1/completions` of another server, streamed."""

    name = "openai"
    steers = False
    tells_logprobs = False
    # The server may write some, which it does not tell.
    opening_tokens = 0
    capacity = 256

    def __init__(  # noqa: PLR0913 - one setting each, all but the first optional
        self,
        base_url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        native_suffix: bool = False,
        fill_in_the_middle: FillInTheMiddle | None = None,
        context: int | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        """`base_url` ends in `/v1`; without `model` the server's only one is asked.

        `native_suffix`: the server takes the request field `suffix`; else prompts are rendered with
        `fill_in_the_middle`, if there is one. Time-outs are in seconds; `read_timeout` is that between two pieces of
        the stream. Raises SetupError for a URL that is none.
        """
        self._connection = Connection(base_url, api_key, connect_timeout=connect_timeout, read_timeout=read_timeout)
        self._place = self._connection.place
        self._named = model
        self.model = model or ""
        self.context_window = context or 0
        self.native_suffix = native_suffix
        self.fill_in_the_middle = fill_in_the_middle

    @property
    def models(self) -> tuple[str, ...]:
        """The one model asked for."""
        return (self.model,)

    async def start(self) -> None:
        """Reach the server and learn which model it serves and its window.

        Raises SetupError when the model is unclear or the key refused, EngineUnavailableError when nobody answers.
        """
        if self._connection.is_open:
            return
        self._connection.open()
        try:
            model, window = served_model(await self._models(), self._named, self._place)
        except BaseException:
            await self.close()
            raise
        self.model = model
        self.context_window = self.context_window or window

    async def _models(self) -> object:
        """What the server answers to `GET /models`; None where it has no such route."""
        response = await self._connection.get("/models")
        if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            message = f"{self._place} refuses the API key ({response.status}): set the key it asks for"
            raise SetupError(message)
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        if response.status != HTTPStatus.OK:
            raise rejection(response.status, response.body[:ERROR_LIMIT], self._place)
        try:
            return response.json()
        except ValueError:
            return None

    async def close(self) -> None:
        """Close every connection."""
        await self._connection.close()

    async def ready(self) -> None:
        """Raise EngineUnavailableError unless the server answers."""
        try:
            response = await self._connection.get("/models")
        except EngineUnavailableError:
            raise
        except EngineError as error:
            message = f"{self._place} does not answer: start the server or mend the URL"
            raise EngineUnavailableError(message) from error
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            message = f"{self._place} answers {response.status}: look at that server"
            raise EngineUnavailableError(message)

    async def count_tokens(self, text: str) -> None:  # noqa: ARG002 - the protocol's signature
        """Return None: the interface has no way to count before generating."""
        return

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Stream one generation. The server counts; a piece of the stream counts as one token until it has told."""
        if self.context_window:
            require_room(0, sampling.max_tokens, self.context_window, self.model)
        async with (
            self._connection.stream("/completions", self._body(prompt, sampling)) as pieces,
            aclosing(read_events(pieces)) as events,
        ):
            drawn = 0
            finish: Literal["stop", "length"] | None = None
            prompt_tokens = completion_tokens = None
            async for event in events:
                if "error" in event:
                    raise rejection_in_stream(event, self._place)
                piece = completion_piece(event)
                finish = piece.finish_reason or finish
                if piece.prompt_tokens is not None:
                    prompt_tokens, completion_tokens = piece.prompt_tokens, piece.completion_tokens
                if piece.text:
                    drawn += 1
                    yield Chunk(piece.text, 1)
        if finish is None:
            message = f"{self._place} ended its stream in the middle of a generation: look at that server, then retry"
            raise EngineError(message)
        yield Chunk("", max(0, (completion_tokens or drawn) - drawn), finish, prompt_tokens)

    def _body(self, prompt: EnginePrompt, sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": one_string(prompt, self.fill_in_the_middle),
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if prompt.suffix is not None:
            body["suffix"] = broken_up(prompt.suffix, self.fill_in_the_middle)
        if stops := (*sampling.stop, *stops_of(prompt, self.fill_in_the_middle)):
            body["stop"] = list(stops)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        return body
