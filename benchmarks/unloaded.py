"""All of an engine but what it writes: nothing has to be loaded, and four characters are a token. Knows no text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from published.infilling import FillInTheMiddle


class Unloaded:
    """Engines of benchmarks write what these want written, and have the rest from here."""

    name = model = "unloaded"
    context_window = opening_tokens = 0
    fill_in_the_middle: FillInTheMiddle | None = None
    native_suffix = True
    steers = tells_logprobs = False
    capacity = 64

    @property
    def models(self) -> tuple[str, ...]:
        """The one."""
        return (self.model,)

    async def start(self) -> None:
        """Nothing has to be loaded."""

    async def close(self) -> None:
        """Nothing was."""

    async def ready(self) -> None:
        """It always is."""

    async def count_tokens(self, text: str) -> int | None:
        """Four characters are a token."""
        return -(-len(text) // 4)
