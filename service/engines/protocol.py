"""What an engine is: an asynchronous source of text with token counts. Knows no engine in particular."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from published.infilling import FillInTheMiddle


SEED_RANGE = 2**31
"""Engines read a seed as 32 bits, some of them signed."""
SEED_STEP = 0x5DEECE6D
"""Added to the seed for what follows a ruled first token: the same seed would draw by the same numbers again."""


@dataclass(frozen=True, slots=True)
class ReleasedModel:
    """A verified release, as an engine loads it. `name` is what clients call it.

    `source` is a folder with weights, or a GGUF file; `adapter` a folder of peft's or a GGUF file, to be laid over it;
    `trappings` the folder with configuration and tokenizer, where the engine needs them.
    """

    name: str
    source: Path
    adapter: Path | None
    trappings: Path | None


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt: the caller's words, or one control token.

    `token` is the control token's name in the model's vocabulary, and `text` how it is written in a prompt that is
    sent as one string. Where `token` is None, the text is the caller's own and an engine that tokenizes prompts
    itself must not recognize control tokens in it.
    """

    text: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class EnginePrompt:
    """What the engine continues.

    `suffix` is set only for engines with `native_suffix`. Prompts with the same `cache_key` may share work done for a
    common beginning; others never do, since the time to the first token would tell one organization what another
    one has asked before.

    For engines that `steers`: `written` are the numbers of tokens already drawn after the prompt, which the generation
    takes up again, and `excluded` of those that may not come next, as the first token of the generation alone.
    """

    segments: tuple[Segment, ...]
    suffix: str | None = None
    cache_key: str = ""
    written: tuple[int, ...] = ()
    excluded: frozenset[int] = frozenset()

    @classmethod
    def plain(cls, text: str, suffix: str | None = None, cache_key: str = "") -> EnginePrompt:
        """A prompt of the caller's words alone."""
        return cls((Segment(text),), suffix, cache_key)

    @property
    def text(self) -> str:
        """The prompt as one string, for engines that leave tokenizing to somebody else."""
        return "".join(segment.text for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the engine draws tokens. `temperature` 0 is greedy; `stop` ends the text before the stop string.

    `logprobs`: how many of the likeliest tokens are told with each that is drawn; None for nothing at all. `model`: one
    of the engine's `models`; None for the first.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = field(default=())
    seed: int | None = None
    logprobs: int | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """A drawn token as text, the natural logarithm of its probability, and the likeliest tokens with theirs."""

    text: str
    logprob: float
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of generated text, in order.

    `tokens` counts the model tokens drawn for this piece, an end-of-text token included. The last chunk of a
    generation has `finish_reason` set ("stop": end of text or a stop string; "length": max_tokens reached).
    `prompt_tokens` is there from the first chunk on, or from when the engine is told, if ever.

    `drawn`: the numbers of all tokens since the last chunk that had them, where the generation can be taken up again
    behind this chunk: all of their text has come. None where that is not so, or the engine cannot tell. `logprobs`: of
    the tokens whose text begins in this piece, in order and without a gap, if they were asked for and the engine has
    them. Tokens that only show their text together are told as one; those without text, as the end of text, not.
    """

    text: str
    tokens: int = 0
    finish_reason: Literal["stop", "length"] | None = None
    prompt_tokens: int | None = None
    drawn: tuple[int, ...] | None = None
    logprobs: tuple[TokenLogprobs, ...] = ()


class Engine(Protocol):
    """A loaded model that can be asked for text by many callers at once.

    `model` is the name clients see; `context_window` is in tokens, 0 when unknown; `opening_tokens`: how many of them
    the engine itself writes before every prompt; `steers`: it takes up `written` tokens again and rules `excluded`
    ones out; `tells_logprobs`: its chunks have them where they are asked for; `capacity`: generations at once that
    suit it. A generation ends by itself, or when the consumer closes the iterator (`aclose()`), which must stop the
    engine's work at once. Failures raise `service.errors.EngineError` or `EngineUnavailableError`; a prompt the engine
    finds too long raises `ContextLengthError`.
    """

    name: str
    model: str
    context_window: int
    opening_tokens: int
    fill_in_the_middle: FillInTheMiddle | None
    native_suffix: bool
    steers: bool
    tells_logprobs: bool
    capacity: int

    @property
    def models(self) -> tuple[str, ...]:
        """Every name that may be asked for: `model` first, then adapters of it."""

    async def start(self) -> None:
        """Load the model or reach the server. Raises SetupError (what to install or set) or EngineUnavailableError."""

    async def close(self) -> None:
        """Free the model, stop threads and connections. Safe to call twice."""

    async def ready(self) -> None:
        """Raise EngineUnavailableError unless a generation could start now."""

    async def count_tokens(self, text: str) -> int | None:
        """Number of model tokens of `text`, without a beginning-of-text token; None where the engine cannot tell."""

    def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        """Stream one generation."""


@runtime_checkable
class Metered(Protocol):
    """An engine that runs or asks servers with metrics of their own."""

    async def metrics(self) -> dict[str, str]:
        """Each server's metrics, by its name, in Prometheus's text format; servers that do not answer are left out."""
