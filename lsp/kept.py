"""Completions that were given, to be shown again where the same is asked or typing goes along with one.

Whoever takes one out asks the service first whether it would still give it (`Answer.index`). Holds what the service
released and nothing else. Knows no service.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsp.client import Finding, Question

ANSWERS = 200
_CLOSED = re.compile(r"[)\]}\"'`]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion as it was fitted into its place, and the decision and state of the index behind it."""

    text: str
    decision: str
    finding: Finding | None = None
    index: str | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """All that stands before and behind a place in its document."""

    before: str
    behind: str


class Kept:
    """The latest answers of one connection."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._last: dict[str, tuple[Spot, Question, Answer]] = {}

    def put(self, uri: str, spot: Spot, question: Question, answer: Answer) -> None:
        """Keep an answer; one without the state of its index could never be shown again."""
        self._last.pop(uri, None)
        if answer.index is None:
            return
        self._last[uri] = spot, question, answer
        key = _key(question)
        self._answers[key] = answer
        self._answers.move_to_end(key)
        while len(self._answers) > ANSWERS:
            self._answers.popitem(last=False)

    def along(self, uri: str, spot: Spot, *, several: bool = False) -> Answer | None:
        """What is left of the document's last answer, if since then nothing was typed but its own beginning.

        With `several`, only of one that could have several lines.
        """
        if uri not in self._last or (several and self._last[uri][1].stop):
            return None
        then, _, answer = self._last[uri]
        typed = spot.before[len(then.before) :]
        if not spot.before.startswith(then.before) or not answer.text.startswith(typed):
            return None
        # What an editor closes by itself comes between.
        closed = spot.behind[: len(spot.behind) - len(then.behind)]
        if not spot.behind.endswith(then.behind) or not _CLOSED.fullmatch(closed):
            return None
        left = answer.text[len(typed) :]
        return replace(answer, text=left) if left.strip() else None

    def again(self, question: Question) -> Answer | None:
        """The answer to the same question."""
        key = _key(question)
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def drop(self, uri: str, question: Question | None = None) -> None:
        """Forget the document's last answer and the one to a question, which hold no more."""
        self._last.pop(uri, None)
        if question is not None:
            self._answers.pop(_key(question), None)

    def close(self, uri: str) -> None:
        """A document was closed."""
        self._last.pop(uri, None)

    def clear(self) -> None:
        """Forget all."""
        self._answers.clear()
        self._last.clear()

    def texts(self) -> list[str]:
        """All that is kept."""
        return [answer.text for answer in (*self._answers.values(), *(last[-1] for last in self._last.values()))]


def _key(question: Question) -> bytes:
    return hashlib.blake2b(repr(question).encode("utf-8", "surrogatepass"), digest_size=16).digest()
