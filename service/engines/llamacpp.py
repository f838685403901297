"""Runs a GGUF model in this process with llama.cpp, by way of the `xllamacpp` wheel. Knows no guard and no caller.

`xllamacpp.Server` always listens, and only over that listener can a generation be cancelled while it reads its prompt
or waits, and text be tokenized without recognizing control tokens. A listener is a way round the guard, so this one
is a unix socket in a private directory (mode 0700), and it asks for a random key that never leaves the process.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from published.infilling import END_TOKENS, FAMILIES, tokens_of
from service.engines.events import read_events
from service.engines.families import family_of_vocabulary
from service.engines.llamacpp_stream import Transcript, reason_of
from service.engines.llamaserver import LlamaServer, load_server
from service.engines.packaged import model_file
from service.engines.processors import physical_cores
from service.engines.protocol import SEED_RANGE, SEED_STEP, Chunk
from service.engines.slots import SlotPool
from service.engines.window import require_room
from service.errors import EngineError, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from published.infilling import FillInTheMiddle
    from service.engines.protocol import EnginePrompt, ReleasedModel, Sampling
    from service.engines.slots import Lease

# Tokens a slot holds when nothing else is asked for: 90 MiB a slot for the packaged model.
DEFAULT_CONTEXT = 4096
DEFAULT_SLOTS = 4
# Seconds between two pieces of a stream that only a hung server exceeds: progress comes with every batch of a prompt.
READ_TIMEOUT = 60.0
# A model has no continuation of nothing at all; this stands for an empty prompt.
EMPTY_PROMPT = "\n"


class LlamaCppEngine:
    """llama.cpp over one GGUF file: parallel slots, cached prompts, cancelled by closing the stream."""

    name = "llamacpp"
    native_suffix = False
    steers = True
    tells_logprobs = True

    def __init__(
        self,
        model: str | None = None,
        *,
        threads: int | None = None,
        context: int | None = None,
        slots: int = DEFAULT_SLOTS,
        fill_in_the_middle: str | None = None,
        released: ReleasedModel | None = None,
    ) -> None:
        """`model` is a GGUF path, or None for the packaged one; `context` the tokens of a slot, prompt and output.

        `threads` is by default the number of physical cores; `fill_in_the_middle` names a family where the vocabulary
        does not show the right one; `released` is loaded in place of `model`. Raises SetupError when there is no such
        file.
        """
        self._file = model_file(model) if released is None else released.source
        self._adapter = None if released is None else released.adapter
        self._threads = threads or physical_cores()
        self._slot_count = self.capacity = slots
        self._slots = SlotPool(slots)
        self._server: LlamaServer | None = None
        self._client: httpx.AsyncClient | None = None
        self._beginning: tuple[int, ...] = ()
        self._control: dict[str, int] = {}
        self._ends: frozenset[int] = frozenset()
        self.model = self._file.stem if released is None else released.name
        self.context_window = context or DEFAULT_CONTEXT
        self._family_name = fill_in_the_middle
        self.fill_in_the_middle: FillInTheMiddle | None = None
        self.opening_tokens = 0

    @property
    def models(self) -> tuple[str, ...]:
        """The one model that is loaded."""
        return (self.model,)

    async def start(self) -> None:
        """Load the model. Raises SetupError when the wheel is missing or llama.cpp cannot run the file."""
        if self._client is not None:
            return
        self._server = await asyncio.to_thread(
            load_server,
            self._file,
            threads=self._threads,
            context=self.context_window,
            slots=self._slot_count,
            adapter=self._adapter,
        )
        self._client = self._server.client(READ_TIMEOUT)
        try:
            await self._learn_vocabulary()
        except BaseException:
            await self.close()
            raise

    async def _learn_vocabulary(self) -> None:
        properties = await self._ask("GET", "/props")
        self.context_window = properties["default_generation_settings"]["n_ctx"]
        self._beginning = tuple(await self._tokenize("", add_special=True))
        for name in {*END_TOKENS, *(token for family in FAMILIES for token in tokens_of(family))}:
            numbers = await self._tokenize(name, parse_special=True)
            if len(numbers) == 1:
                self._control[name] = numbers[0]
        self._ends = frozenset(self._control[name] for name in END_TOKENS if name in self._control)
        self.opening_tokens = len(self._beginning)
        self.fill_in_the_middle = family_of_vocabulary(self._family_name, self._control.__contains__)

    async def close(self) -> None:
        """Stop every generation, free the model and remove the socket."""
        client, server = self._client, self._server
        self._client = self._server = None
        if client is not None:
            await client.aclose()
        if server is not None:
            await asyncio.to_thread(server.close)

    async def ready(self) -> None:
        """Raise EngineUnavailableError unless the model is loaded and the server answers."""
        await self._ask("GET", "/health")

    async def count_tokens(self, text: str) -> int:
        """Number of model tokens of `text`, in which no control token is recognized."""
        return len(await self._tokenize(text))

    async def active_generations(self) -> int:
        """How many slots are at work, for telemetry."""
        slots: Any = await self._ask("GET", "/slots")
        return sum(slot["is_processing"] for slot in slots)

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Stream one generation; it waits for a slot when all are at work."""
        tokens = (*await self._prompt_tokens(prompt), *prompt.written)
        require_room(len(tokens), sampling.max_tokens, self.context_window, self.model)
        if sampling.max_tokens < 1:
            yield Chunk("", 0, "length", len(tokens))
            return
        transcript = Transcript(sampling, len(tokens), prompt.excluded, self._ends)
        async with self._slots.lease(tokens, prompt.cache_key) as lease:
            body = _body(tokens, sampling, lease)
            if prompt.excluded:
                async with aclosing(self._ruled(body, prompt.excluded, transcript)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                body = _after(body, transcript)
            if not transcript.finished:
                async with aclosing(self._written(body, transcript)) as chunks:
                    async for chunk in chunks:
                        yield chunk

    async def _ruled(
        self, body: dict[str, Any], excluded: frozenset[int], transcript: Transcript
    ) -> AsyncGenerator[Chunk, None]:
        """The first token, none of `excluded`: `logit_bias` holds for a whole request, so this one ends behind it.

        Raises EngineError where that token is the beginning of a character: what follows could not be told.
        """
        rule = {"logit_bias": [[token, False] for token in sorted(excluded)], "n_predict": 1}
        async with aclosing(self._written(body | rule, transcript, last_request=body["n_predict"] == 1)) as chunks:
            async for chunk in chunks:
                yield chunk
        transcript.again()
        if not transcript.finished and not transcript.known:
            message = "llama.cpp drew part of a character in the place of a token that was ruled out: try no further"
            raise EngineError(message)

    async def _written(
        self, body: dict[str, Any], transcript: Transcript, *, last_request: bool = True
    ) -> AsyncGenerator[Chunk, None]:
        """What one request adds to the transcript."""
        async with self._completion(body) as response, aclosing(read_events(response.aiter_bytes())) as events:
            async for event in events:
                chunk = transcript.take(event, last_request=last_request)
                if chunk is not None:
                    yield chunk
                if transcript.finished:
                    return
        if last_request:
            message = "llama.cpp ended a generation without saying why: restart the service"
            raise EngineError(message)

    async def _prompt_tokens(self, prompt: EnginePrompt) -> tuple[int, ...]:
        """The prompt as token numbers: control tokens by name, the caller's words tokenized as mere text."""
        tokens = list(self._beginning)
        for segment in prompt.segments:
            if segment.token is not None:
                tokens.append(self._control[segment.token])
            elif segment.text:
                tokens.extend(await self._tokenize(segment.text))
        return tuple(tokens) or tuple(await self._tokenize(EMPTY_PROMPT))

    async def _tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        body = {"content": text, "add_special": add_special, "parse_special": parse_special}
        answer = await self._ask("POST", "/tokenize", body)
        return list(answer["tokens"])

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        client = self._require_client()
        try:
            response = await client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise _unavailable(error) from error
        if response.status_code != httpx.codes.OK:
            message = f"llama.cpp answered {response.status_code} to {path}: {reason_of(response.json())}"
            raise EngineError(message)
        answer: dict[str, Any] = response.json()
        return answer

    @asynccontextmanager
    async def _completion(self, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """An open stream of events. Leaving closes the connection, at which the server drops the generation."""
        client = self._require_client()
        try:
            async with client.stream("POST", "/completion", json=body) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    message = f"llama.cpp refused a generation ({response.status_code}): {reason_of(response.json())}"
                    raise EngineError(message)
                yield response
        except httpx.HTTPError as error:
            raise _unavailable(error) from error

    def _require_client(self) -> httpx.AsyncClient:
        if self._client is None:
            message = f"the model {self.model} is not loaded: start the engine first"
            raise EngineUnavailableError(message)
        return self._client


def _body(tokens: tuple[int, ...], sampling: Sampling, lease: Lease) -> dict[str, Any]:
    """A request to llama.cpp that samples by temperature and nucleus alone (its defaults add top-k and min-p)."""
    return {
        "prompt": tokens,
        "n_predict": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "seed": -1 if sampling.seed is None else sampling.seed,
        "id_slot": lease.number,
        "cache_prompt": lease.reuse,
        "stream": True,
        # Progress after every batch of the prompt lets the server notice a closed connection before the first token.
        "return_progress": True,
        # The server tells the drawn token's probability only together with the likeliest ones'.
        "n_probs": 0 if sampling.logprobs is None else 1,
    }


def _after(body: dict[str, Any], transcript: Transcript) -> dict[str, Any]:
    """The request for all that follows what is drawn already, in the same slot, which holds the rest."""
    more = {"prompt": (*body["prompt"], *transcript.drawn), "n_predict": body["n_predict"] - len(transcript.drawn)}
    seed = body["seed"] if body["seed"] < 0 else (body["seed"] + SEED_STEP) % SEED_RANGE
    return body | more | {"cache_prompt": True, "seed": seed}


def _unavailable(error: httpx.HTTPError) -> EngineUnavailableError:
    message = f"llama.cpp does not answer ({type(error).__name__}): restart the service"
    return EngineUnavailableError(message)
