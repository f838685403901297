"""The service of `editor.py`: all of its parts, before an engine that takes a known time and tells when it worked.

    CLEANROOM_HOME=... python editor_server.py PLACES

Prints its URL when it listens, then a JSON line when a generation begins and one when it ends: {"number", "prompt",
"began"}, the prompt's last characters, and {"number", "ended", "slept"}, in seconds of the clock that all processes of
a machine share.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import TYPE_CHECKING

from overload_server import PacedEngine, serve_before

from service.engines.protocol import Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.engines.protocol import EnginePrompt, Sampling

ANSWER = "compute(first, second)"
LONG = "endless"
"""Where a prompt's end has this word, the engine writes until it is stopped."""
PIECES = 5
SECONDS = 0.02
"""A piece."""
TAIL = 60


class TellingEngine(PacedEngine):
    """Writes ANSWER in PIECES times SECONDS."""

    numbers = itertools.count()

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncIterator[Chunk]:
        """The answer, at the pace."""
        del sampling
        number, slept = next(self.numbers), 0.0
        tail = prompt.text[-TAIL:]
        tell(number=number, prompt=tail, began=time.monotonic())
        try:
            for piece in itertools.cycle(["# "]) if LONG in tail else pieces(ANSWER):
                before = time.monotonic()
                await asyncio.sleep(SECONDS)
                slept += time.monotonic() - before
                yield Chunk(piece, tokens=1)
            yield Chunk("", finish_reason="stop")
        finally:
            tell(number=number, ended=time.monotonic(), slept=slept)


def pieces(text: str) -> list[str]:
    """The text in PIECES."""
    size = -(-len(text) // PIECES)
    return [text[start : start + size] for start in range(0, len(text), size)]


def tell(**said: float | str) -> None:
    """Print a line."""
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    serve_before(TellingEngine(int(sys.argv[1])))
