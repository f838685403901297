"""What engines of tests have in common: they are always ready, and a token is so many characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from published.infilling import FillInTheMiddle


@dataclass(kw_only=True)
class TestEngine:
    """All of an engine but what it writes. A token has `piece` characters."""

    __test__ = False  # nothing for pytest to collect

    name: str
    model: str
    context_window: int = 0
    opening_tokens: int = 0
    fill_in_the_middle: FillInTheMiddle | None = None
    native_suffix: bool = True
    steers: bool = False
    tells_logprobs: bool = False
    capacity: int = 64
    piece: int = 1

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,)

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    async def ready(self) -> None:
        """Always."""

    async def count_tokens(self, text: str) -> int | None:
        return -(-len(text) // self.piece)
