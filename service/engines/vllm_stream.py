"""Makes chunks of what vLLM streams: texts, token numbers, log probabilities, stop strings. Knows no connection."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from service.engines.protocol import Chunk, TokenLogprobs
from service.engines.stops import StopFilter
from service.engines.upstream import completion_piece
from service.errors import EngineError

if TYPE_CHECKING:
    from service.engines.protocol import Sampling


class Transcript:
    """One generation as it comes, over one request or several.

    Stop strings are found here and not by vLLM, which holds back as many characters of every text as they are long.
    """

    def __init__(self, sampling: Sampling, prompt_tokens: int, excluded: frozenset[int]) -> None:
        self._stops = StopFilter(sampling.stop)
        self._top = sampling.logprobs
        self._prompt_tokens = prompt_tokens
        self._excluded = excluded
        self._text = ""
        self._unsaid = 0
        self._since: list[int] = []
        self._logprobs: list[TokenLogprobs] = []
        self._between_characters = True
        self.drawn: list[int] = []
        self.finished = False

    @property
    def whole(self) -> bool:
        """Whether vLLM has sent all text of the tokens drawn so far."""
        return self._between_characters

    def take(self, event: dict[str, Any], *, last_request: bool = True) -> Chunk | None:
        """The chunk that an event of the stream makes, if any; after the last one `finished` is true.

        Reaching its number of tokens ends the generation only for its last request. Raises EngineError for an event
        that is none, an error of vLLM's among them, and where an excluded token was drawn.
        """
        piece = completion_piece(event)
        choice = event["choices"][0] if event["choices"] else {}
        numbers = choice.get("token_ids") or []
        if not isinstance(numbers, list):
            message = "the model's server sent token numbers that are no list: check that it is vLLM"
            raise EngineError(message)
        self._draw(numbers, choice.get("logprobs"))
        if piece.text:
            # One token's text comes when it ends with a whole character; of several only the last one's might not.
            self._between_characters = len(numbers) <= 1
        elif numbers:
            self._between_characters = False
        self._text += self._stops.feed(piece.text)
        reason = piece.finish_reason if last_request or piece.finish_reason != "length" else None
        if reason is not None or self._stops.stopped:
            return self.finish("stop" if self._stops.stopped else reason or "stop")
        whole = self._between_characters and self._stops.whole
        # With log probabilities a text waits for the rest of its tokens', so that the two agree.
        if not self._text or (self._top is not None and not whole):
            return None
        drawn = tuple(self._since) if whole else None
        chunk = Chunk(self._text, self._unsaid, None, self._prompt_tokens, drawn, tuple(self._logprobs))
        self._text, self._unsaid = "", 0
        if whole:
            self._since, self._logprobs = [], []
        return chunk

    def finish(self, reason: Literal["stop", "length"]) -> Chunk:
        """The last chunk: what was held back, up to a stop string."""
        self.finished = True
        text = self._text + ("" if self._stops.stopped else self._stops.flush())
        return Chunk(text, self._unsaid, reason, self._prompt_tokens, logprobs=_within(self._logprobs, len(text)))

    def _draw(self, numbers: list[int], logprobs: object) -> None:
        if not self.drawn and numbers and numbers[0] in self._excluded:
            message = "the model's server drew a token that was ruled out: check that it takes `logit_bias`"
            raise EngineError(message)
        told = _read_logprobs(logprobs, self._top) if self._top is not None else []
        if not self.drawn and self._excluded:
            # vLLM tells probabilities as they are before anything is ruled out: what was is not shown.
            told[:1] = [replace(token, likeliest=()) for token in told[:1]]
        self.drawn.extend(numbers)
        self._since.extend(numbers)
        self._unsaid += len(numbers)
        self._logprobs.extend(told)


def _within(tokens: list[TokenLogprobs], length: int) -> tuple[TokenLogprobs, ...]:
    """Those of `tokens` that begin in the next `length` characters."""
    kept: list[TokenLogprobs] = []
    for token in tokens:
        if length <= 0:
            break
        kept.append(token)
        length -= len(token.text)
    return tuple(kept)


def _read_logprobs(logprobs: object, top: int) -> list[TokenLogprobs]:
    """The log probabilities of an event, in the form of OpenAI's completions."""
    if not isinstance(logprobs, dict):
        return []
    try:
        return [
            TokenLogprobs(
                str(token),
                float(logprob),
                tuple(sorted((dict(likeliest or {})).items(), key=lambda pair: -pair[1])[:top]),
            )
            for token, logprob, likeliest in zip(
                logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
            )
        ]
    except (KeyError, TypeError, ValueError):
        message = "the model's server sent log probabilities of another form than OpenAI's: check that it is vLLM"
        raise EngineError(message) from None
