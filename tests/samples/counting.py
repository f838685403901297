"""An engine that only counts, with a tokenizer that has the oddities of real ones: merges over any border."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from published.infilling import FillInTheMiddle
    from service.engines.protocol import Chunk, EnginePrompt, Sampling

# The longest of these at each place, else one character: a text that begins a character later may have fewer tokens.
MERGES = re.compile(r"\n {8}|\n {4}|return|self\.|    |  |ab|bc|bcd|xx|xxx|\)\n|def |[a-z]{1,3}|.", re.DOTALL)


def tokens_in(text: str) -> int:
    """Number of tokens by MERGES."""
    return len(MERGES.findall(text))


@dataclass
class CountingEngine:
    """Generates nothing. `asked` are the texts that were counted."""

    name: str = "counting"
    model: str = "counting-1"
    context_window: int = 64
    opening_tokens: int = 1
    fill_in_the_middle: FillInTheMiddle | None = None
    native_suffix: bool = False
    steers: bool = False
    tells_logprobs: bool = False
    counts: bool = True
    asked: list[str] = field(default_factory=list)

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def ready(self) -> None: ...

    async def count_tokens(self, text: str) -> int | None:
        self.asked.append(text)
        return tokens_in(text) if self.counts else None

    def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        raise NotImplementedError
