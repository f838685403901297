"""Asks vLLM, which Cleanroom runs itself or finds at one or several URLs. Knows no guard and no caller.

Prompts go as token numbers, so that control tokens in a caller's words are mere text and a generation can be taken up
again token by token.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from published.infilling import END_TOKENS
from service.engines.connection import READ_TIMEOUT, Connection
from service.engines.detokenizer import LONGEST_CHARACTER
from service.engines.events import read_events
from service.engines.families import family_of_vocabulary
from service.engines.pool import Pool
from service.engines.protocol import SEED_RANGE, SEED_STEP
from service.engines.tokenization import Tokenizer, learn_vocabulary
from service.engines.upstream import rejection_in_stream, served_models
from service.engines.vllm_server import VllmServer
from service.engines.vllm_stream import Transcript
from service.engines.window import require_room
from service.errors import EngineError, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from published.infilling import FillInTheMiddle
    from service.engines.protocol import Chunk, EnginePrompt, Sampling

# A model has no continuation of nothing at all; this stands for an empty prompt.
EMPTY_PROMPT = "\n"
# As much as `logit_bias` may take from a token's logit; the next is drawn from the others.
RULED_OUT = -100.0


class VllmEngine:
    """vLLM over one model and its adapters: as many generations at once as the servers take."""

    name = "vllm"
    native_suffix = False
    steers = True
    tells_logprobs = True
    # What vLLM schedules at once by default (`--max-num-seqs`).
    capacity = 256

    def __init__(
        self,
        servers: VllmServer | Sequence[str],
        model: str | None = None,
        api_key: str | None = None,
        *,
        fill_in_the_middle: str | None = None,
        context: int | None = None,
        seeds: bool | None = None,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        """`servers`: one of our own, or the URLs of such as run already, all with the same model and `api_key`.

        `fill_in_the_middle` names a family where the vocabulary does not show the right one. `seeds`: whether a
        request's seed is passed on; by default where the build takes them, as far as that is known. `read_timeout` is
        in seconds, between two pieces of a stream. Raises SetupError for a URL that is none.
        """
        self._own = servers if isinstance(servers, VllmServer) else None
        self._connections = [
            Connection(url.rstrip("/").removesuffix("/v1"), api_key, read_timeout=read_timeout)
            for url in (() if isinstance(servers, VllmServer) else servers)
        ]
        self._named = self._own.model if self._own is not None else model
        self._released = self._own.released if self._own is not None else None
        self._seeds = seeds if seeds is not None else self._own is None or self._own.takes_seeds
        self._read_timeout = read_timeout
        self._salt_key = secrets.token_bytes(32)
        self._pool = Pool([])
        self._tokenizer: Tokenizer | None = None
        self._beginning: tuple[int, ...] = ()
        self._control: dict[str, int] = {}
        self._ends: tuple[int, ...] = ()
        self._family_name = fill_in_the_middle
        self.fill_in_the_middle: FillInTheMiddle | None = None
        self.opening_tokens = 0
        self.context_window = context or 0
        self.model = self._named or ""
        self.models: tuple[str, ...] = (self.model,)

    async def start(self) -> None:
        """Start or reach the servers and learn what they serve.

        Raises SetupError where our own does not come up, or one does not tell its control tokens, and
        EngineUnavailableError where nobody answers.
        """
        if self._tokenizer is not None:
            return
        try:
            own = [] if self._own is None else [await self._own.start(self._read_timeout)]
            self._pool = Pool([*own, *self._connections])
            await self._pool.start()
            await self._learn()
        except BaseException:
            await self.close()
            raise

    async def _learn(self) -> None:
        wanted = self._named if self._released is None else self._released.name
        self.model, self.models = served_models(await self._pool.get("/v1/models"), wanted)
        if self._released is not None:
            # The base under a released adapter is no release.
            self.models = (self.model,)
        vocabulary = await learn_vocabulary(self._pool, self.model)
        self._beginning, self._control = vocabulary.beginning, vocabulary.control
        self._ends = tuple(self._control[name] for name in END_TOKENS if name in self._control)
        self.context_window = min(filter(None, (self.context_window, vocabulary.window)), default=0)
        self.opening_tokens = len(self._beginning)
        self.fill_in_the_middle = family_of_vocabulary(self._family_name, self._control.__contains__)
        self._tokenizer = Tokenizer(self._pool, self.model, self._control)

    async def close(self) -> None:
        """Break off every generation; end a server of our own."""
        self._tokenizer = None
        await self._pool.close()
        if self._own is not None:
            await self._own.close()

    async def ready(self) -> None:
        """Raise EngineUnavailableError unless a server answers."""
        self._require_tokenizer()
        await self._pool.ready()

    async def count_tokens(self, text: str) -> int:
        """Number of model tokens of `text`, in which no control token is recognized."""
        return await self._require_tokenizer().count(text)

    async def metrics(self) -> dict[str, str]:
        """Each server's metrics, by its place, in Prometheus's text format; without those that do not answer."""
        return await self._pool.texts("/metrics")

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Stream one generation from the least busy server."""
        tokens = (*await self._prompt_tokens(prompt), *prompt.written)
        require_room(len(tokens), sampling.max_tokens, self.context_window or len(tokens), self.model)
        transcript = Transcript(sampling, len(tokens), prompt.excluded)
        body = self._body(prompt, sampling)
        if prompt.excluded and sampling.max_tokens > 0:
            async with aclosing(self._ruled(body, tokens, prompt.excluded, transcript)) as chunks:
                async for chunk in chunks:
                    yield chunk
            if "seed" in body:
                body["seed"] = (body["seed"] + SEED_STEP) % SEED_RANGE
        if not transcript.finished:
            async with aclosing(self._free(body, tokens, transcript)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _ruled(
        self, body: dict[str, Any], tokens: tuple[int, ...], excluded: frozenset[int], transcript: Transcript
    ) -> AsyncGenerator[Chunk, None]:
        """The first token, none of `excluded`.

        `logit_bias` holds for a whole request, so this one ends behind the first token or, where that is a part of a
        character, behind the character, in whose middle the next request could not begin.
        """
        most = min(LONGEST_CHARACTER, body["max_tokens"])
        rule = {"logit_bias": {str(token): RULED_OUT for token in sorted(excluded)}, "max_tokens": most}
        async with aclosing(self._events(body | rule | {"prompt": tokens})) as events:
            async for event in events:
                chunk = transcript.take(event, last_request=most == body["max_tokens"])
                if chunk is not None:
                    yield chunk
                if transcript.finished or (transcript.drawn and transcript.whole):
                    return

    async def _free(
        self, body: dict[str, Any], tokens: tuple[int, ...], transcript: Transcript
    ) -> AsyncGenerator[Chunk, None]:
        """All that follows what is drawn already. Raises EngineError where the stream ends too early."""
        left = body["max_tokens"] - len(transcript.drawn)
        if left < 1:
            yield transcript.finish("length")
            return
        async with aclosing(
            self._events(body | {"prompt": (*tokens, *transcript.drawn), "max_tokens": left})
        ) as events:
            async for event in events:
                chunk = transcript.take(event)
                if chunk is not None:
                    yield chunk
                if transcript.finished:
                    return
        message = "vLLM ended its stream in the middle of a generation: look at that server, then retry"
        raise EngineError(message)

    async def _events(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        async with (
            self._pool.stream("/v1/completions", body) as pieces,
            aclosing(read_events(pieces)) as events,
        ):
            async for event in events:
                if "error" in event:
                    raise rejection_in_stream(event, "vLLM")
                yield event

    def _body(self, prompt: EnginePrompt, sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": sampling.model or self.model,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            # Where these are missing vLLM takes what the model's authors advise for talking.
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": self._ends,
            "return_token_ids": True,
            "cache_salt": hashlib.blake2b(prompt.cache_key.encode(), key=self._salt_key, digest_size=16).hexdigest(),
            "stream": True,
        }
        if sampling.logprobs is not None:
            body["logprobs"] = sampling.logprobs
        if sampling.seed is not None and self._seeds:
            body["seed"] = sampling.seed
        return body

    async def _prompt_tokens(self, prompt: EnginePrompt) -> tuple[int, ...]:
        """The prompt as token numbers: control tokens by name, the caller's words tokenized as mere text."""
        tokenizer = self._require_tokenizer()
        tokens = list(self._beginning)
        for segment in prompt.segments:
            if segment.token is not None:
                tokens.append(self._control[segment.token])
            else:
                tokens.extend(await tokenizer.tokens(segment.text))
        return tuple(tokens or await tokenizer.tokens(EMPTY_PROMPT))

    def _require_tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            message = "the engine vllm is not started: start it first"
            raise EngineUnavailableError(message)
        return self._tokenizer
