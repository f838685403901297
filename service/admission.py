"""Who generates next: a bounded queue in front of the engine that is fair between organizations.

Knows neither engine nor HTTP: a place is held for as long as a `with` lasts.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import DeadlineUnmetError, OverloadedError, QueueFullError, ServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from service.settings import Settings

WAITING_PER_PLACE = 4
# One request may ask for eight generations, and shall not fill the queue of a small engine by itself.
LEAST_WAITING = 16
LONGEST_RETRY = 60
# Generations from which times are estimated: enough to be steady, few enough to forget a slow spell.
REMEMBERED = 64
# How many mean deviations above their mean a request must have time for: as TCP waits for an answer (RFC 6298).
DEVIATIONS = 4
# The share of a request's time that may go by in the queue. Without it, lasting overload serves everybody at the last
# moment, when any hiccup makes them all late; a shorter queue keeps the engine as busy.
WAITING_SHARE = 0.5


def admission_for(settings: Settings, capacity: int) -> Admission:
    """The queue that the settings ask for, in front of an engine that `capacity` generations at once suit."""
    return Admission(settings.max_concurrent_generations or capacity, settings.max_waiting_generations)


@dataclass(slots=True, eq=False)
class Waiter:
    """A generation that waits for its place. `latest`: when it must begin, by the event loop's clock."""

    org: str
    latest: float
    turn: asyncio.Future[None]


class Place:
    """A place that is held; `free` gives it to the next while the work goes on without the engine."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def free(self) -> None:
        """The engine has done its part. To say so twice is no error."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


@dataclass(slots=True)
class Pace:
    """How long the last generations took, in seconds, and how many tokens they were allowed to have."""

    held: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    whole: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def mean(self) -> float:
        """For how long a place is held; 0 before the first was given back."""
        return sum(self.held) / len(self.held) if self.held else 0.0

    def needed(self, tokens: int) -> float:
        """What a generation of so many tokens at most takes, check and ledger included, if it is not unusually slow.

        As long as those before, but less where it may have fewer tokens than they: a short completion need not fear
        for its time because others ask for pages.
        """
        if not self.whole:
            return 0.0
        by_tokens = tokens * _bound([seconds / allowed for seconds, allowed in self.whole])
        return min(_bound([seconds for seconds, _ in self.whole]), by_tokens)


def _bound(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return mean + DEVIATIONS * sum(abs(value - mean) for value in values) / len(values)


class Admission:
    """At most `places` generations at once, and `waiting` that wait. For one event loop.

    A place that falls free goes to the organizations in turn, and within each to who came first: how much one of them
    asks does not decide how long another waits. When all that may wait do, the organization with the most of them
    gives way to one with fewer (longest queue drop: B. Suter et al., "Design considerations for supporting TCP with
    per-flow queueing", INFOCOM 1998).
    """

    def __init__(self, places: int, waiting: int | None = None) -> None:
        self.places = places
        self.room = max(WAITING_PER_PLACE * places, LEAST_WAITING) if waiting is None else waiting
        self.running = 0
        self._queues: dict[str, deque[Waiter]] = {}  # none of them empty; the first organization is next
        self._pace = Pace()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._queues.values()))

    @asynccontextmanager
    async def place(self, org: str, deadline: float, tokens: int) -> AsyncIterator[Place]:
        """Wait for a place and hold it until it is freed, or to the end of the `with`, which is that of the whole work.

        `deadline`: when the work must have ended, by the event loop's clock; `tokens`: how many it may generate.

        Raises:
            QueueFullError: the organization has its share of those who may wait.
            OverloadedError: all together have, and it is nobody's fault.
            DeadlineUnmetError: the wait takes so long that the work might end too late.
        """
        loop = asyncio.get_running_loop()
        await self._enter(org, deadline, tokens)
        began = loop.time()

        def leave() -> None:
            self._pace.held.append(loop.time() - began)
            self._leave()

        place = Place(leave)
        try:
            yield place
        finally:
            place.free()
            self._pace.whole.append((loop.time() - began, max(tokens, 1)))

    async def _enter(self, org: str, deadline: float, tokens: int) -> None:
        # Whoever waits goes first. A free place is never refused, whatever the pace was: else nothing would mend that.
        if self.running < self.places and not self._queues:
            self.running += 1
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        latest = min(deadline - self._pace.needed(tokens), now + WAITING_SHARE * (deadline - now))
        waiter = Waiter(org, latest, loop.create_future())
        self._join(waiter)
        try:
            async with asyncio.timeout_at(latest):
                await waiter.turn
        except TimeoutError:
            self._quit(waiter)
            raise self._too_late() from None
        except BaseException:
            self._quit(waiter)
            raise

    def _join(self, waiter: Waiter) -> None:
        now = asyncio.get_running_loop().time()
        own = self._queues.get(waiter.org, ())
        if now + self._wait(len(own)) > waiter.latest:
            raise self._too_late()
        if self.waiting >= self.room:
            self._make_room(waiter.org, len(own))
        self._queues.setdefault(waiter.org, deque()).append(waiter)

    def _make_room(self, org: str, own: int) -> None:
        """Send one away who waits, for one of `org` of whom `own` wait already; or raise why not."""
        share = self.room / len({*self._queues, org})
        # With no room at all it is nobody's share that is full.
        if own and own >= share:
            raise self._queue_full(org, own)
        longest = max(self._queues.values(), key=len, default=deque[Waiter]())
        # Else the two would send each other away in turn.
        if len(longest) < own + 2:
            message = f"{self.waiting} generations wait for the engine, all that may: retry later"
            raise OverloadedError(message, retry_after=self._retry(self.waiting))
        last = longest[-1]
        self._send_away(last, self._queue_full(last.org, len(longest)))

    def _queue_full(self, org: str, own: int) -> QueueFullError:
        message = f"{own} generations of {org} wait for the engine, its share: ask for fewer at once, or retry later"
        return QueueFullError(message, retry_after=self._retry(own))

    def _too_late(self) -> DeadlineUnmetError:
        message = "the engine is busy, and the request's time might be over before its answer: retry later"
        return DeadlineUnmetError(message, retry_after=self._retry(self.waiting))

    def _retry(self, ahead: int) -> float:
        """Seconds in which the engine has worked off so many, as the last ones went."""
        return min(max(1, math.ceil((ahead + 1) * self._pace.mean() / self.places)), LONGEST_RETRY)

    def _wait(self, own: int) -> float:
        """Seconds that one would wait behind `own` of its organization: in every turn each organization has one."""
        ahead = sum(min(len(queue), own + 1) for queue in self._queues.values())
        return ahead * self._pace.mean() / self.places

    def _send_away(self, waiter: Waiter, error: ServiceError) -> None:
        self._remove(waiter)
        if not waiter.turn.done():
            waiter.turn.set_exception(error)

    def _quit(self, waiter: Waiter) -> None:
        """Give up waiting; or the place, if it came in the same moment."""
        if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
            self._leave()
        else:
            self._remove(waiter)

    def _remove(self, waiter: Waiter) -> None:
        queue = self._queues.get(waiter.org)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._queues[waiter.org]

    def _leave(self) -> None:
        """Give a place that falls free to whoever is next."""
        now = asyncio.get_running_loop().time()
        while self._queues:
            waiter = self._next()
            if waiter.turn.done():
                continue  # cancelled, and about to quit
            if now > waiter.latest:
                waiter.turn.set_exception(self._too_late())
                continue
            waiter.turn.set_result(None)
            return
        self.running -= 1

    def _next(self) -> Waiter:
        """Take the first waiter of the organization whose turn it is, which is last then."""
        org = next(iter(self._queues))
        queue = self._queues.pop(org)
        waiter = queue.popleft()
        if queue:
            self._queues[org] = queue
        return waiter
