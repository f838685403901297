"""What happened since the process started, as numbers for Prometheus.

Every application has a registry of its own. Labels are names that the code knows: never an organization, a key or a
text. The numbers say how often something was withheld and so must not be shown to ordinary callers: a count that
rises is an answer about the index (`service.routes.metrics` says who may read them).
"""

from __future__ import annotations

import time
from collections import deque
from itertools import product
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from guard.types import Action
from service.feedback import FeedbackMetrics
from service.heads.metrics import HeadMetrics
from service.release import Disposition
from service.review.metrics import ReviewMetrics

if TYPE_CHECKING:
    from collections.abc import Mapping

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
OTHER = "other"
"""The label of whatever a client could make up: an unknown route or method."""
CLIENT_GONE = 499
"""Nginx's word for a request whose client left before its answer began."""

# Seconds. The guard may take 0.2 s by default; a generation a minute.
GUARD_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
HELD_CHARACTERS = (0, 10, 30, 100, 200, 500, 1000, 3000)
TOKENS_A_SECOND = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def known_method(method: str) -> str:
    """The method of a request, or "other" for one that its client made up."""
    return method if method in METHODS else OTHER


class Queue(Protocol):
    """Whatever decides who generates next."""

    @property
    def waiting(self) -> int:
        """How many generations wait."""


class Metrics:
    """The numbers of one service. Safe to share between threads."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "cleanroom_requests_total", "Requests answered.", ("route", "method", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "cleanroom_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("route",),
            buckets=ANSWER_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "cleanroom_failures_total", "Requests answered with an error, by its class.", ("error",), registry=registry
        )
        self._refusals = Counter(
            "cleanroom_refusals_total",
            "Answers refused because guard or ledger could not do their part, by the class of the error.",
            ("error",),
            registry=registry,
        )
        self._generations = Counter(
            "cleanroom_generations_total",
            "Generations recorded in the ledger, by the guard's action and by what became of them.",
            ("action", "disposition"),
            registry=registry,
        )
        self._steers = Counter(
            "cleanroom_steers_total",
            "Times that a generation was taken up again before a leak, by what became of it.",
            ("disposition",),
            registry=registry,
        )
        self._used_up = Counter(
            "cleanroom_leaks_used_up_total",
            "Leaks of keys that have used up those of their day.",
            registry=registry,
        )
        self._guard_seconds = Histogram(
            "cleanroom_guard_seconds",
            "Seconds of the guard: a check of a whole text, or a look of a watch over a stream.",
            ("work",),
            buckets=GUARD_SECONDS,
            registry=registry,
        )
        self._check_seconds = self._guard_seconds.labels("check")
        self._look_seconds = self._guard_seconds.labels("look")
        self._ledger_seconds = Histogram(
            "cleanroom_ledger_append_seconds",
            "Seconds until an entry of the ledger is on disk.",
            buckets=GUARD_SECONDS,
            registry=registry,
        )
        self._part_up = Gauge(
            "cleanroom_part_up",
            "1 where a part can do its work, else 0, as /readyz says.",
            ("part",),
            registry=registry,
        )
        self._waiting = Gauge(
            "cleanroom_queue_waiting", "Generations that wait for a place at the engine.", registry=registry
        )
        for action, disposition in product(Action, Disposition):
            # From zero: where a series begins with its first block, no rate shows that one.
            self._generations.labels(action.value, disposition.value)
        self.engine = EngineMetrics(registry)
        self.held = HeldMetrics(registry)
        self.feedback = FeedbackMetrics(registry)
        self.heads = HeadMetrics(registry)
        self.reviews = ReviewMetrics(registry)

    def answered(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """A request has had its answer; `route` is the pattern that it matched, `status` 0 if it got none."""
        self._requests.labels(route or OTHER, known_method(method), str(status or CLIENT_GONE)).inc()
        self._request_seconds.labels(route or OTHER).observe(seconds)

    def failed(self, error: Exception) -> None:
        """A request was answered with `error`."""
        self._failures.labels(type(error).__name__).inc()

    def refused(self, error: Exception) -> None:
        """Guard or ledger raised `error`, so nothing, or nothing more, left."""
        self._refusals.labels(type(error).__name__).inc()

    def recorded(self, action: Action, disposition: Disposition, steers: int) -> None:
        """The ledger has a generation that was taken up again `steers` times."""
        self._generations.labels(action.value, disposition.value).inc()
        if steers:
            self._steers.labels(disposition.value).inc(steers)

    def leaks_used_up(self) -> None:
        """A key has had the last leak of its day, or one that was under way beyond it."""
        self._used_up.inc()

    def checked(self, seconds: float) -> None:
        """The guard has checked a text, or refused to."""
        self._check_seconds.observe(seconds)

    def looked(self, seconds: float) -> None:
        """A watch has looked at a text, or refused to."""
        self._look_seconds.observe(seconds)

    def appended(self, seconds: float) -> None:
        """The ledger has written an entry, or failed to."""
        self._ledger_seconds.observe(seconds)

    def parts(self, ready: Mapping[str, bool]) -> None:
        """Which parts could do their work, just now."""
        for part, up in ready.items():
            self._part_up.labels(part).set(up)

    def follow(self, queue: Queue) -> None:
        """Tell the length of `queue` whenever somebody asks."""
        self._waiting.set_function(lambda: queue.waiting)

    def totals(self) -> dict[str, int]:
        """The sums that the log has when the service ends."""
        names = ("generations", "steers", "refusals")
        sums = dict.fromkeys(names, 0.0)
        for family in self.registry.collect():
            name = family.name.removeprefix("cleanroom_")
            if name in sums:
                sums[name] += sum(sample.value for sample in family.samples if sample.name.endswith("_total"))
        return {name: int(value) for name, value in sums.items()}


class EngineMetrics:
    """What the service sees of the engine."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.generating = Gauge("cleanroom_engine_generating", "Generations that the engine writes.", registry=registry)
        self._first = Histogram(
            "cleanroom_engine_first_token_seconds",
            "Seconds until the engine's first token, of every try.",
            buckets=ANSWER_SECONDS,
            registry=registry,
        )
        self._speed = Histogram(
            "cleanroom_engine_tokens_per_second",
            "Tokens a second of one generation, after its first.",
            buckets=TOKENS_A_SECOND,
            registry=registry,
        )
        self._tokens = Counter("cleanroom_engine_tokens_total", "Tokens that the engine wrote.", registry=registry)
        self._errors = Counter(
            "cleanroom_engine_errors_total", "Failures of the engine, by their class.", ("error",), registry=registry
        )

    def began(self, seconds: float) -> None:
        """The first token came after `seconds`."""
        self._first.observe(seconds)

    def wrote(self, tokens: int, seconds: float) -> None:
        """A generation of `tokens` has ended, `seconds` after its first piece."""
        self._tokens.inc(tokens)
        if tokens > 1 and seconds > 0:
            self._speed.observe((tokens - 1) / seconds)

    def failed(self, error: Exception) -> None:
        """The engine raised `error`, or was too slow."""
        self._errors.labels(type(error).__name__).inc()


class HeldMetrics:
    """How long the text of streams is held back."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "cleanroom_held_seconds",
            "Seconds between a piece of a stream being written and the last of it leaving.",
            buckets=ANSWER_SECONDS,
            registry=registry,
        )
        self.characters = Histogram(
            "cleanroom_held_characters",
            "Characters of a stream written and not yet sent, after each look of its watch.",
            buckets=HELD_CHARACTERS,
            registry=registry,
        )


class Held:
    """What one stream has written and not yet sent."""

    def __init__(self, metrics: HeldMetrics) -> None:
        self._metrics = metrics
        self._written: deque[tuple[int, float]] = deque()

    def wrote(self, end: int) -> None:
        """The text has `end` characters by now; fewer than before where it was taken up again further up."""
        while self._written and self._written[-1][0] >= end:
            self._written.pop()
        self._written.append((end, time.monotonic()))

    def sent(self, end: int) -> None:
        """The first `end` characters have left by now, and others may."""
        if self._written:
            self._metrics.characters.observe(max(0, self._written[-1][0] - end))
        self.finished(end)

    def finished(self, end: int) -> None:
        """The first `end` characters have left, and no others will."""
        now = time.monotonic()
        while self._written and self._written[0][0] <= end:
            self._metrics.seconds.observe(now - self._written.popleft()[1])
