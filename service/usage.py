"""What a caller is told of the tokens that were used. Knows no guard and no price."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.draft import Draft
    from service.engines.protocol import Engine, EnginePrompt

# Only where an engine counts nothing at all: about four characters of code make a token.
CHARACTERS_A_TOKEN = 4


async def count_text(engine: Engine, draft: Draft, text: str) -> int:
    """Model tokens of the released text.

    What was generated but kept back is not counted: its length would tell that, and how much, was kept back. The
    price is that usage understates the engine's work; the ledger and the log have the whole. A text that stopped
    is counted anew even when all of it leaves: the engine's own count has the end-of-text token, which a trimmed
    text lacks, and so would tell the two apart.
    """
    if not text:
        return 0
    if text == draft.text and draft.finish_reason == "length":
        return draft.tokens
    counted = await engine.count_tokens(text)
    if counted is None:
        counted = math.ceil(draft.tokens * len(text) / len(draft.text))
    return min(counted, draft.tokens)


async def count_prompt(engine: Engine, draft: Draft, prompt: EnginePrompt) -> int:
    """Model tokens of the prompt: as the engine reported, else as it counts, else estimated from the length."""
    if draft.prompt_tokens is not None:
        return draft.prompt_tokens
    counted = await engine.count_tokens(prompt.text)
    return counted if counted is not None else math.ceil(len(prompt.text) / CHARACTERS_A_TOKEN)
