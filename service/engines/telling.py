"""Which tokens a text consists of that leaves an engine later than they are drawn. Knows no model."""

from __future__ import annotations

from collections import deque

from service.engines.protocol import TokenLogprobs


class Telling:
    """Tells each token with the piece of text in which its own text begins; nothing at all unless `asked`.

    Tokens that only show their text together (halves of a character) are told as one, with the probability of all.
    """

    def __init__(self, *, asked: bool) -> None:
        self._asked = asked
        self._waiting: deque[tuple[int, TokenLogprobs]] = deque()
        self._joint = 0.0
        self._fed = 0
        self._passed = 0

    def feed(self, text: str, logprob: float = 0.0) -> str:
        """Take the text that a token shows, which may be none as yet, and hand it on."""
        self._joint += logprob
        if self._asked and text:
            self._waiting.append((self._fed, TokenLogprobs(text, self._joint)))
            self._joint = 0.0
        self._fed += len(text)
        return text

    def take(self, text: str) -> tuple[TokenLogprobs, ...]:
        """The tokens whose text begins in `text`, the next piece that leaves."""
        self._passed += len(text)
        told = []
        while self._waiting and self._waiting[0][0] < self._passed:
            told.append(self._waiting.popleft()[1])
        return tuple(told)
