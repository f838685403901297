"""Builds what the engine continues from the caller's prompt and suffix, within the model's window.

Knows no engine in particular and nothing of HTTP. Forms are written by `service.rendering`, texts cut by
`service.budget`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from service.budget import CHARACTERS_A_TOKEN, fit
from service.engines.window import require_room
from service.errors import ContextLengthError
from service.rendering import NOTHING_AROUND, render
from service.tracing import spanned

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.engines.protocol import Engine, EnginePrompt
    from service.surroundings import Surroundings


class Form(Protocol):
    """The form of an engine's prompts, for prefix and suffix still to be chosen."""

    def __call__(self, prompt: str, suffix: str | None, around: Surroundings) -> EnginePrompt:
        """The rendered prompt."""


# `truncate` of as many tokens as there is room for, as in vLLM's API.
ALL_THAT_FITS = -1


@spanned("prompt")
async def build_prompt(
    engine: Engine,
    prompt: str,
    suffix: str | None,
    max_tokens: int,
    *,
    around: Surroundings = NOTHING_AROUND,
    truncate: int | None = None,
    cache_key: str = "",
) -> EnginePrompt:
    """Render `prompt` and `suffix` for `engine` and hold them to its window.

    A gap to fill keeps what is nearest to it: of both sides what fits beside `max_tokens`. A prompt without suffix is
    cut only where `truncate` says so: to its last `truncate` tokens at most, or to what fits where that is -1. Other
    files come into the room that is left, the last ones first, each whole or not at all.

    Where the engine cannot count, three characters are taken for a token, and only what may be cut is held to the
    window; the rest is left to whoever runs the model. Raises ContextLengthError where a prompt that may not be cut,
    or the control tokens alone, exceed the window.
    """
    form: Form = partial(_form, engine, cache_key)
    limit = _limit(engine, max_tokens, truncate)
    whole = form(prompt, suffix, around)
    tally = Tally(engine)
    if limit is None or await tally.of(whole) <= limit:
        return whole
    alone = replace(around, files=())
    if suffix is not None or truncate is not None:
        kept = await _cut(tally, partial(form, around=alone), prompt, suffix, limit)
        if kept is None:
            raise _no_room(engine, await tally.of(whole), max_tokens, limit)
        if kept != (prompt, suffix):
            return form(*kept, alone)
    else:
        count = await tally.of(form(prompt, suffix, alone))
        if tally.exact:
            require_room(count, max_tokens, engine.context_window, engine.model)
    return form(prompt, suffix, await _with_files(tally, partial(form, prompt, suffix), around, limit))


def _form(engine: Engine, cache_key: str, prompt: str, suffix: str | None, around: Surroundings) -> EnginePrompt:
    return render(engine, prompt, suffix, around, cache_key=cache_key)


def _no_room(engine: Engine, count: int, max_tokens: int, limit: int) -> ContextLengthError:
    message = (
        f"the prompt has {count} tokens and may keep {max(0, limit)}, which is too little for any of it: raise "
        f"truncate_prompt_tokens, or lower max_tokens ({max_tokens}; {engine.model} holds {engine.context_window})"
    )
    return ContextLengthError(message, param="prompt")


def _limit(engine: Engine, max_tokens: int, truncate: int | None) -> int | None:
    """Tokens that the prompt may have; None where nobody knows a bound."""
    bounds = [engine.context_window - max_tokens] if engine.context_window > 0 else []
    if truncate is not None and truncate != ALL_THAT_FITS:
        bounds.append(truncate)
    return min(bounds, default=None)


class Tally:
    """Counts prompts in an engine's tokens, each text once; by its length where the engine cannot."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counts: dict[str, int] = {"": 0}
        self.exact = True

    async def of(self, prompt: EnginePrompt) -> int:
        """Tokens of the whole prompt, those included that the engine itself writes before it."""
        total = self._engine.opening_tokens
        for segment in prompt.segments:
            total += await self._text(segment.text) if segment.token is None else 1
        return total + await self._text(prompt.suffix or "")

    async def _text(self, text: str) -> int:
        count = self._counts.get(text)
        if count is None:
            counted = await self._engine.count_tokens(text)
            self.exact = self.exact and counted is not None
            count = self._counts[text] = math.ceil(len(text) / CHARACTERS_A_TOKEN) if counted is None else counted
        return count


async def _cut(
    tally: Tally, form: Callable[[str, str | None], EnginePrompt], prompt: str, suffix: str | None, limit: int
) -> tuple[str, str | None] | None:
    """What is kept of prompt and suffix; None where nothing would be."""

    async def measure(before: str, after: str) -> int:
        return await tally.of(form(before, None if suffix is None else after))

    kept = await fit(measure, prompt, suffix or "", limit)
    if kept is None or not any(kept):
        return None
    return kept[0], None if suffix is None else kept[1]


async def _with_files(
    tally: Tally, form: Callable[[Surroundings], EnginePrompt], around: Surroundings, limit: int
) -> Surroundings:
    """The surroundings with those of the other files that fit, the last ones first."""
    fitting = replace(around, files=())
    for file in reversed(around.files):
        more = replace(fitting, files=(file, *fitting.files))
        if await tally.of(form(more)) <= limit:
            fitting = more
    return fitting
