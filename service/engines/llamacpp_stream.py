"""Makes chunks of what llama.cpp's server streams: texts, token numbers, log probabilities, stop strings.

Knows no connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from service.engines.protocol import Chunk
from service.engines.stops import StopFilter
from service.engines.telling import Telling
from service.errors import EngineError

if TYPE_CHECKING:
    from service.engines.protocol import Sampling


class Transcript:
    """One generation as it comes, over one request or two.

    Stop strings are found here and not by llama.cpp, which says nothing of what it held back where a request ends. It
    sends no event for a token whose text ends within a character, and so never that token's number: from there on the
    generation cannot be taken up again.
    """

    def __init__(self, sampling: Sampling, prompt_tokens: int, excluded: frozenset[int], ends: frozenset[int]) -> None:
        """`ends`: tokens that end a text, whether llama.cpp knows that or not."""
        self._stops = StopFilter(sampling.stop)
        self._telling = Telling(asked=sampling.logprobs is not None)
        self._prompt_tokens = prompt_tokens
        self._excluded = excluded
        self._ends = ends
        self._predicted = 0
        self._unsaid = 0
        self._since: list[int] = []
        self.drawn: list[int] = []
        self.known = True
        """Whether `drawn` has every token so far."""
        self.finished = False

    def again(self) -> None:
        """Another request goes on from here: it counts from 0."""
        self._predicted = 0

    def take(self, event: dict[str, Any], *, last_request: bool = True) -> Chunk | None:
        """The chunk that an event makes, if any; after the last one `finished` is true.

        Reaching its number of tokens ends the generation only for its last request. Raises EngineError for an error of
        llama.cpp's, and where an excluded token was drawn.
        """
        if "error" in event:
            message = f"llama.cpp failed while generating: {reason_of(event)}"
            raise EngineError(message)
        if "prompt_progress" in event:
            return None
        new = event["tokens_predicted"] - self._predicted
        self._predicted += new
        self._unsaid += new
        self._draw([] if event["stop"] else event["tokens"], new)
        logprob = sum(token["logprob"] for token in event.get("completion_probabilities", ()))
        text = self._stops.feed(self._telling.feed(event["content"], logprob))
        limit = event["stop"] and event["stop_type"] == "limit"
        ended = (event["stop"] and not limit) or not self._ends.isdisjoint(event.get("tokens", ()))
        if self._stops.stopped or ended:
            return self._finish(text, "stop")
        if limit and last_request:
            return self._finish(text, "length")
        # Text is held back while it may become a stop string or half of a character; its tokens come with it.
        return self._chunk(text) if text else None

    def _draw(self, numbers: list[int], new: int) -> None:
        if not self.drawn and self.known and not self._excluded.isdisjoint(numbers[:1]):
            message = "llama.cpp drew a token that was ruled out: check that this build of it takes `logit_bias`"
            raise EngineError(message)
        self.known = self.known and len(numbers) == new
        self.drawn.extend(numbers)
        self._since.extend(numbers)

    def _chunk(self, text: str) -> Chunk:
        whole = self.known and self._stops.whole
        drawn, unsaid = tuple(self._since) if whole else None, self._unsaid
        self._unsaid = 0
        if whole:
            self._since = []
        return Chunk(text, unsaid, None, self._prompt_tokens, drawn, self._telling.take(text))

    def _finish(self, text: str, reason: Literal["stop", "length"]) -> Chunk:
        self.finished = True
        if not self._stops.stopped:
            text += self._stops.flush()
        return Chunk(text, self._unsaid, reason, self._prompt_tokens, logprobs=self._telling.take(text))


def reason_of(answer: dict[str, Any]) -> str:
    """What llama.cpp says of an error, cut short."""
    error = answer.get("error")
    return str(error.get("message") if isinstance(error, dict) else error)[:200]
