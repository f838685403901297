"""Runs a GGUF model in this process with llama.cpp, by way of the `xllamacpp` wheel. Knows no guard and no caller.

`xllamacpp.Server` always listens, and only over that listener can a generation be cancelled while it reads its prompt
or waits, and text be tokenized without recognizing control tokens. A listener is a way round the guard, so this one
is a unix socket in a private directory (mode 0700), and it asks for a random key that never leaves the process.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import httpx

from published.infilling import END_TOKENS, FAMILIES, tokens_of
from service.engines.events import read_events
from service.engines.families import family_of_vocabulary
from service.engines.llamaserver import LlamaServer, load_server
from service.engines.packaged import model_file
from service.engines.processors import physical_cores
from service.engines.protocol import Chunk, TokenLogprobs
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
    steers = False
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
        tokens = await self._prompt_tokens(prompt)
        require_room(len(tokens), sampling.max_tokens, self.context_window, self.model)
        if sampling.max_tokens < 1:
            yield Chunk("", 0, "length", len(tokens))
            return
        async with (
            self._slots.lease(tokens, prompt.cache_key) as lease,
            self._completion(_body(tokens, sampling, lease)) as response,
            aclosing(read_events(response)) as events,
        ):
            drawn = 0
            untold: list[TokenLogprobs] = []
            async for event in events:
                untold += _told(event)
                chunk = self._chunk(event, drawn, len(tokens))
                if chunk is None:
                    continue
                drawn += chunk.tokens
                yield replace(chunk, logprobs=_fitting(chunk, untold)) if untold else chunk
                untold = []
                if chunk.finish_reason is not None:
                    return
        message = "llama.cpp ended a generation without saying why: restart the service"
        raise EngineError(message)

    def _chunk(self, event: dict[str, Any], drawn: int, prompt_tokens: int) -> Chunk | None:
        """The chunk that an event stands for, or None for a report of progress or a token without text as yet."""
        if "error" in event:
            message = f"llama.cpp failed while generating: {_reason(event)}"
            raise EngineError(message)
        if "prompt_progress" in event:
            return None
        new = event["tokens_predicted"] - drawn
        if event["stop"]:
            finish: Literal["stop", "length"] = "length" if event["stop_type"] == "limit" else "stop"
            return Chunk(event["content"], new, finish, prompt_tokens)
        if self._ends.intersection(event["tokens"]):
            return Chunk(event["content"], new, "stop", prompt_tokens)
        # Text is held back while it may become a stop string or half of a character; its tokens come with it.
        return Chunk(event["content"], new) if event["content"] else None

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
            message = f"llama.cpp answered {response.status_code} to {path}: {_reason(response.json())}"
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
                    message = f"llama.cpp refused a generation ({response.status_code}): {_reason(response.json())}"
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
        "stop": list(sampling.stop),
        "id_slot": lease.number,
        "cache_prompt": lease.reuse,
        "stream": True,
        # Progress after every batch of the prompt lets the server notice a closed connection before the first token.
        "return_progress": True,
        # The server tells the drawn token's probability only together with the likeliest ones'.
        "n_probs": 0 if sampling.logprobs is None else 1,
    }


def _told(event: dict[str, Any]) -> list[TokenLogprobs]:
    """The tokens that an event tells of, of which the text may come with a later one."""
    return [TokenLogprobs(token["token"], token["logprob"]) for token in event.get("completion_probabilities", ())]


def _fitting(chunk: Chunk, tokens: list[TokenLogprobs]) -> tuple[TokenLogprobs, ...]:
    """The tokens whose text the chunk is; all as one where it was held back until halves made a character.

    The end of a text may lack that of some of its tokens, a stop string's, and is then not told.
    """
    if "".join(token.text for token in tokens) == chunk.text:
        return tuple(token for token in tokens if token.text)
    if chunk.finish_reason is not None or not chunk.text:
        return ()
    return (TokenLogprobs(chunk.text, sum(token.logprob for token in tokens)),)


def _reason(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    return str(error.get("message") if isinstance(error, dict) else error)[:200]


def _unavailable(error: httpx.HTTPError) -> EngineUnavailableError:
    message = f"llama.cpp does not answer ({type(error).__name__}): restart the service"
    return EngineUnavailableError(message)
