"""A generation as the engine writes it, and where it can be taken up again. Never leaves the pipeline.

Knows neither guard nor engine.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from service.engines.protocol import Chunk, TokenLogprobs


@dataclass(frozen=True, slots=True)
class Resumption:
    """A beginning of a draft from which to go on: `token` is what came next the last time."""

    draft: Draft
    token: int


@dataclass(slots=True)
class Draft:
    """What was written so far. `tokens` counts model tokens; `drawn` are the numbers of those that are known."""

    text: str = ""
    tokens: int = 0
    finish_reason: Literal["stop", "length"] | None = None
    prompt_tokens: int | None = None
    drawn: list[int] = field(default_factory=list)
    logprobs: list[tuple[int, TokenLogprobs]] = field(default_factory=list)
    """Of each token that has them, with the place where its text ends."""
    _places: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """Characters and drawn tokens behind which it can be taken up again."""

    def add(self, chunk: Chunk) -> None:
        """Take the next piece."""
        # A token may reach beyond the chunk that it begins in: what comes next begins where it ends, never before.
        end = max([len(self.text), *(end for end, _ in self.logprobs[-1:])])
        # Where the tokens are less than the text, each counts as standing as far behind as it may.
        end += max(0, len(self.text) + len(chunk.text) - end - sum(len(token.text) for token in chunk.logprobs))
        for token in chunk.logprobs:
            end += len(token.text)
            self.logprobs.append((end, token))
        self.text += chunk.text
        self.tokens += chunk.tokens
        self.finish_reason = chunk.finish_reason or self.finish_reason
        if self.prompt_tokens is None:  # once taken up again, the engine counts its own words as prompt
            self.prompt_tokens = chunk.prompt_tokens
        if chunk.drawn is not None:
            self.drawn += chunk.drawn
            self._places.append((len(self.text), len(self.drawn)))

    def told(self, characters: int) -> tuple[TokenLogprobs, ...]:
        """The tokens that end before character `characters`."""
        return tuple(token for end, token in self.logprobs if end < characters)

    def resumed(self, start: int, least: int) -> Resumption | None:
        """The longest beginning before the word that stands at or behind character `start`, and the token after it.

        None where that is not known to a token, or shorter than `least` characters.
        """
        while start < len(self.text) and self.text[start].isspace():
            start += 1
        at = bisect_right(self._places, (start, len(self.drawn))) - 1
        characters, count = self._places[at]
        if characters < least or count >= len(self.drawn):
            return None
        kept = [(end, token) for end, token in self.logprobs if end <= characters]
        draft = Draft(
            self.text[:characters], count, None, self.prompt_tokens, self.drawn[:count], kept, self._places[: at + 1]
        )
        return Resumption(draft, self.drawn[count])
