"""Builds what the engine continues from the caller's prompt and suffix, within the model's window.

Knows no engine in particular and nothing of HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.engines.protocol import EnginePrompt, Segment
from service.engines.window import require_room

if TYPE_CHECKING:
    from service.engines.protocol import Engine, FillInTheMiddle

# Sentencepiece writes a blank as this sign in the names of tokens.
SENTENCEPIECE_BLANK = "▁"


async def build_prompt(
    engine: Engine, prompt: str, suffix: str | None, max_tokens: int, *, cache_key: str = ""
) -> EnginePrompt:
    """Render `prompt` and `suffix` for `engine` and hold them to its window.

    Nothing is cut off silently. Raises ContextLengthError where the prompt's tokens and `max_tokens` together exceed
    the window; an engine that cannot count leaves that to whoever runs the model.
    """
    rendered = render(engine, prompt, suffix, cache_key=cache_key)
    if engine.context_window > 0:
        count = await _count(engine, rendered)
        if count is not None:
            require_room(count, max_tokens, engine.context_window, engine.model)
    return rendered


async def _count(engine: Engine, prompt: EnginePrompt) -> int | None:
    total = 0
    for segment in prompt.segments:
        count = await engine.count_tokens(segment.text) if segment.token is None else 1
        if count is None:
            return None
        total += count
    return total


def render(engine: Engine, prompt: str, suffix: str | None, *, cache_key: str = "") -> EnginePrompt:
    """The prompt in the best form that `engine` has: its own suffix field, fill-in-the-middle, or prefix only."""
    if not suffix:
        return EnginePrompt.plain(prompt, cache_key=cache_key)
    if engine.native_suffix:
        return EnginePrompt.plain(prompt, suffix, cache_key)
    if engine.fill_in_the_middle is None:
        return EnginePrompt.plain(prompt, cache_key=cache_key)
    return EnginePrompt(fill_in_the_middle(engine.fill_in_the_middle, prompt, suffix), cache_key=cache_key)


def fill_in_the_middle(family: FillInTheMiddle, prefix: str, suffix: str) -> tuple[Segment, ...]:
    """Prefix and suffix between the control tokens of `family` (sources: `service.engines.families`)."""
    before = (_control(family.prefix, spaced=family.spaced, opens=True), Segment(prefix))
    after = (_control(family.suffix, spaced=family.spaced), Segment(suffix))
    first, second = (after, before) if family.suffix_first else (before, after)
    last = (_control(family.middle, spaced=family.spaced),) if family.middle else ()
    return (*first, *second, *last)


def _control(token: str, *, spaced: bool, opens: bool = False) -> Segment:
    if not spaced:
        return Segment(token, token)
    written = token.replace(SENTENCEPIECE_BLANK, " ")
    return Segment(f"{written.lstrip()} " if opens else written, token)
