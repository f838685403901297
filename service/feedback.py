"""What became of completions in the editors, as counts by model and language. Knows no text and no person.

The model is that of the ledger's entry, and only entries of the caller's own organization count, each outcome once.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from prometheus_client import Counter

from guard.languages import FILE_NAMES, LANGUAGES
from service.errors import RateLimitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

    from service.accounts import Caller
    from service.parts import Recorder

OTHER: Final = "other"
POSTS_PER_MINUTE: Final = 60
REMEMBERED: Final = 50_000
"""Outcomes that are known to have been counted, in one process."""
_KNOWN: Final = frozenset([*LANGUAGES.values(), *FILE_NAMES.values()])
# Ids of LSP and of editors that are not our names.
_ALIASES: Final = {
    "cuda-cpp": "cpp",
    "javascriptreact": "javascript",
    "less": "css",
    "makefile": "make",
    "objective-cpp": "objective-c",
    "scss": "css",
    "sh": "shell",
    "shellscript": "shell",
    "typescriptreact": "typescript",
}


class Outcome(StrEnum):
    """What a developer did with a completion. `kept`: half of its lines or more still stand 30 s later."""

    SHOWN = "shown"
    ACCEPTED = "accepted"
    PARTLY_ACCEPTED = "partly_accepted"
    REJECTED = "rejected"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Event:
    """One outcome of the completion with this decision; `language` is whatever an editor calls it."""

    decision: str
    outcome: Outcome
    language: str


class FeedbackMetrics:
    """The counts. Labels are names that the code or the ledger knows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._outcomes = Counter(
            "cleanroom_suggestions_total",
            "Completions in editors, by what became of them.",
            ("model", "language", "outcome"),
            registry=registry,
        )

    def count(self, model: str, language: str, outcome: Outcome) -> None:
        """One more of these."""
        self._outcomes.labels(model, language, outcome.value).inc()


class Feedback:
    """Takes reports. `take` blocks while the ledger is read; `admit` belongs to one event loop."""

    def __init__(self, ledger: Recorder, metrics: FeedbackMetrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._seen: OrderedDict[tuple[str, Outcome], None] = OrderedDict()
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(POSTS_PER_MINUTE)

    async def admit(self, caller: Caller) -> None:
        """Count a report of this key. Raises RateLimitError beyond POSTS_PER_MINUTE."""
        if not await self._limiter.hit(self._rate, caller.key_id):
            sent = f"key {caller.key_id} has sent its {POSTS_PER_MINUTE} reports of a minute"
            message = f"{sent}: send several events in one"
            raise RateLimitError(message, retry_after=60)

    def take(self, caller: Caller, events: Iterable[Event], models: frozenset[str]) -> int:
        """Count what is news; answer how many events were. Raises LedgerError where the ledger cannot be read."""
        counted = 0
        for event in events:
            if (event.decision, event.outcome) in self._seen:
                continue
            entry = self._ledger.get(event.decision)
            if entry is None or entry.record.org != caller.org:
                continue
            self._seen[event.decision, event.outcome] = None
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            model = entry.record.model
            self._metrics.count(model if model in models else OTHER, known_language(event.language), event.outcome)
            counted += 1
        return counted


def known_language(language: str) -> str:
    """Our name for an editor's language id, or "other"."""
    named = language.lower()
    named = _ALIASES.get(named, named)
    return named if named in _KNOWN else OTHER
