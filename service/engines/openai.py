"""Asks any OpenAI-compatible completion server (vLLM, llama.cpp, another Cleanroom). Knows no model and no guard."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import httpx

from service.engines.events import read_events
from service.engines.one_string import broken_up, one_string, stops_of
from service.engines.protocol import Chunk
from service.engines.upstream import completion_piece, rejection, rejection_in_stream, served_model
from service.engines.window import require_room
from service.errors import EngineError, EngineUnavailableError, SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from service.engines.protocol import EnginePrompt, FillInTheMiddle, Sampling

CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 30.0
# Most of an error's body that is read, in bytes: of it, 200 characters at most are repeated.
ERROR_LIMIT = 16_384


class OpenAIEngine:
    """`POST /v1/completions` of another server, streamed."""

    name = "openai"
    steers = False
    # The server may write some, which it does not tell.
    opening_tokens = 0

    def __init__(  # noqa: PLR0913 - one setting each, all but the first optional
        self,
        base_url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        native_suffix: bool = False,
        fill_in_the_middle: FillInTheMiddle | None = None,
        context: int | None = None,
        cache_salt: bool = False,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        """`base_url` ends in `/v1`; without `model` the server's only one is asked.

        `native_suffix`: the server takes the request field `suffix`; else prompts are rendered with
        `fill_in_the_middle`, if there is one. `cache_salt`: the server takes vLLM's field of that name, which keeps
        its prompt caches of different organizations apart. Time-outs are in seconds; `read_timeout` is that between
        two pieces of the stream. Raises SetupError for a URL that is none.
        """
        self._base_url = require_url(base_url)
        # For messages: a password in the URL is nobody else's business.
        self._place = str(self._base_url.copy_with(userinfo=b""))
        self._named = model
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        self._client: httpx.AsyncClient | None = None
        self._salt_key = secrets.token_bytes(32) if cache_salt else None
        self.model = model or ""
        self.context_window = context or 0
        self.native_suffix = native_suffix
        self.fill_in_the_middle = fill_in_the_middle

    async def start(self) -> None:
        """Reach the server and learn which model it serves and its window.

        Raises SetupError when the model is unclear or the key refused, EngineUnavailableError when nobody answers.
        """
        if self._client is not None:
            return
        self._client = httpx.AsyncClient(
            headers=self._headers,
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=None),
            # A proxy of the environment cannot reach this machine's own servers.
            trust_env=not is_loopback(self._base_url),
        )
        try:
            model, window = served_model(await self._models(), self._named, self._place)
        except BaseException:
            await self.close()
            raise
        self.model = model
        self.context_window = self.context_window or window

    async def _models(self) -> object:
        """What the server answers to `GET /models`; None where it has no such route."""
        client = self._require_client()
        try:
            response = await client.get(f"{self._base_url}/models")
            if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
                message = f"{self._place} refuses the API key ({response.status_code}): set the key it asks for"
                raise SetupError(message)
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            if response.status_code != httpx.codes.OK:
                raise rejection(response.status_code, response.content[:ERROR_LIMIT], self._place)
            answer: object = response.json()
        except httpx.HTTPError as error:
            raise self._failure(error) from error
        except ValueError:
            return None
        return answer

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def ready(self) -> None:
        """Raise EngineUnavailableError unless the server answers."""
        client = self._require_client()
        try:
            response = await client.get(f"{self._base_url}/models")
        except httpx.HTTPError as error:
            message = f"{self._place} does not answer ({type(error).__name__}): start the server or mend the URL"
            raise EngineUnavailableError(message) from error
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            message = f"{self._place} answers {response.status_code}: look at that server"
            raise EngineUnavailableError(message)

    async def count_tokens(self, text: str) -> None:  # noqa: ARG002 - the protocol's signature
        """Return None: the interface has no way to count before generating."""
        return

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Stream one generation. The server counts; a piece of the stream counts as one token until it has told."""
        if self.context_window:
            require_room(0, sampling.max_tokens, self.context_window, self.model)
        async with (
            self._completion(self._body(prompt, sampling)) as response,
            aclosing(read_events(response)) as events,
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
        if self._salt_key is not None:
            salt = hashlib.blake2b(prompt.cache_key.encode(), key=self._salt_key, digest_size=16)
            body["cache_salt"] = salt.hexdigest()
        return body

    @asynccontextmanager
    async def _completion(self, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """An open stream of events. Leaving closes the connection, by which the server learns to stop."""
        client = self._require_client()
        try:
            async with client.stream("POST", f"{self._base_url}/completions", json=body) as response:
                if response.status_code != httpx.codes.OK:
                    raise rejection(response.status_code, await _beginning(response), self._place)
                yield response
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    def _failure(self, error: httpx.HTTPError) -> EngineError:
        """What a failed exchange means, without a word of what was sent."""
        kind = type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            message = f"{self._place} cannot be reached ({kind}): start the server or mend the URL"
            return EngineUnavailableError(message)
        if isinstance(error, httpx.TimeoutException):
            message = f"{self._place} sent nothing for {self._timeout.read:g} s: look at that server, then retry"
            return EngineError(message)
        message = f"{self._place} broke the connection off ({kind}): look at that server, then retry"
        return EngineError(message)

    def _require_client(self) -> httpx.AsyncClient:
        if self._client is None:
            message = f"the engine of {self._place} is not started: start it first"
            raise EngineUnavailableError(message)
        return self._client


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > ERROR_LIMIT:
            break
    return body[:ERROR_LIMIT]


def require_url(url: str) -> httpx.URL:
    """The URL without a closing slash. Raises SetupError unless it is http or https with a host."""
    try:
        parsed = httpx.URL(url.rstrip("/"))
    except httpx.InvalidURL:
        parsed = None
    if parsed is None or parsed.scheme not in {"http", "https"} or not parsed.host:
        message = "the engine's URL is none of a completion server: write it as http://127.0.0.1:8000/v1"
        raise SetupError(message)
    return parsed


def is_loopback(url: httpx.URL) -> bool:
    """Whether the URL's host is this machine's own loopback."""
    if url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False
