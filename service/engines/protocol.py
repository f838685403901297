"""What an engine is: an asynchronous source of text with token counts. Knows no engine in particular."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class EnginePrompt:
    """What the engine continues: `text` is sent as it is; `suffix` is set only for engines with `native_suffix`."""

    text: str
    suffix: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the engine draws tokens. `temperature` 0 is greedy; `stop` ends the text before the stop string."""

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = field(default=())
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of generated text, in order.

    `tokens` counts the model tokens in this piece. The last chunk of a generation has `finish_reason` set ("stop":
    end of text or a stop string; "length": max_tokens reached) and, where the engine knows it, `prompt_tokens`.
    """

    text: str
    tokens: int = 0
    finish_reason: Literal["stop", "length"] | None = None
    prompt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class FillInTheMiddle:
    """The special tokens with which a model family marks prefix, suffix and the place to fill."""

    family: str
    prefix: str
    suffix: str
    middle: str
    suffix_first: bool = False


class Engine(Protocol):
    """A loaded model that can be asked for text by many callers at once.

    `model` is the name clients see; `context_window` is in tokens, 0 when unknown. A generation ends by itself, or
    when the consumer closes the iterator (`aclose()`), which must stop the engine's work at once. Failures raise
    `service.errors.EngineError` or `EngineUnavailableError`; a prompt the engine finds too long raises
    `ContextLengthError`.
    """

    name: str
    model: str
    context_window: int
    fill_in_the_middle: FillInTheMiddle | None
    native_suffix: bool

    async def start(self) -> None:
        """Load the model or reach the server. Raises SetupError (what to install or set) or EngineUnavailableError."""

    async def close(self) -> None:
        """Free the model, stop threads and connections. Safe to call twice."""

    async def ready(self) -> None:
        """Raise EngineUnavailableError unless a generation could start now."""

    async def count_tokens(self, text: str) -> int | None:
        """Number of model tokens of `text`, or None where the engine cannot tell before generating."""

    def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        """Stream one generation."""
