"""Quotas: how many requests a key may make in a minute and how many tokens it may use in a day.

Knows no HTTP but the names of OpenAI's headers, and no store but as something that counts (`service.limit_store`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from limits import RateLimitItemPerDay, RateLimitItemPerMinute
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from service.errors import QuotaError, RateLimitError

if TYPE_CHECKING:
    from service.accounts import Caller, Quota
    from service.limit_store import LimitStore


log = structlog.get_logger(__name__)

SECOND = 1000
"""In milliseconds."""
FRESH = 0.25
"""Seconds for which a key that had leaks left is not asked about again, unless this process counts one."""
REMEMBERED = 10_000
"""Such keys at most."""


class Requests(RateLimitItemPerMinute):
    """Requests in any 60 seconds, counted one by one: no burst at the turn of a minute."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        """Without the amount: what was used counts on when a key's quota is changed."""
        return "/".join(["requests", *map(str, identifiers)])


class Tokens(RateLimitItemPerDay):
    """Tokens in the 24 hours from the first that is counted: one number a key."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        """As for requests."""
        return "/".join(["tokens", *map(str, identifiers)])


class Leaks(RateLimitItemPerDay):
    """Generations that were blocked for private code, in the 24 hours from the first: one number a key."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        """As for requests."""
        return "/".join(["leaks", *map(str, identifiers)])


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a quota; `reset` is the seconds until more is, or all of it."""

    limit: int
    remaining: int
    reset: float

    def headers(self, kind: str) -> dict[str, str]:
        """The headers of OpenAI for "requests" or "tokens"."""
        return {
            f"x-ratelimit-limit-{kind}": str(self.limit),
            f"x-ratelimit-remaining-{kind}": str(self.remaining),
            f"x-ratelimit-reset-{kind}": duration(self.reset),
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """How a key stands with a request: what is left of each quota that it has, and why not, if it may not go on."""

    requests: Allowance | None = None
    tokens: Allowance | None = None
    refusal: RateLimitError | None = None

    def headers(self) -> dict[str, str]:
        """All headers about quotas. The tokens are those before the request."""
        headers = self.requests.headers("requests") if self.requests else {}
        return headers | (self.tokens.headers("tokens") if self.tokens else {})


class Limits:
    """The quotas of all keys. `defaults` holds for keys without their own.

    Every method raises LimitsUnavailableError when the store does not answer: then nothing is generated.
    """

    def __init__(self, store: LimitStore, defaults: Quota, leaks_per_day: int = 0) -> None:
        """`leaks_per_day`: after so many blocks for private code a key has used its day; 0: any number."""
        self._store = store
        self._defaults = defaults
        self._leaks = Leaks(leaks_per_day) if leaks_per_day else None
        self._with_leaks_left: dict[str, float] = {}
        self._requests = MovingWindowRateLimiter(store.storage)
        self._tokens = FixedWindowRateLimiter(store.storage)

    async def ready(self) -> None:
        """Raise LimitsUnavailableError unless quotas could be counted now."""
        await self._store.ready()

    async def close(self) -> None:
        """Close the connections, in the event loop that used them."""
        await self._store.close()

    async def request(self, caller: Caller) -> Standing:
        """Count a request of `caller`, unless it has none left or no tokens; a refused one is not counted."""
        requests, tokens = self._items(caller)
        async with self._store.refusing():
            # When more is to be had is asked for only where it is told: a question of its own to the store.
            if self._leaks is not None and not await self._has_leaks_left(self._leaks, caller):
                window = await self._tokens.get_window_stats(self._leaks, caller.key_id)
                return Standing(refusal=_used_up(caller, max(window.reset_time - time.time(), 0)))
            left = await self._left(caller, tokens) if tokens else None
            if left is not None and left.remaining <= 0:
                message = (
                    f"key {caller.key_id} has used its {left.limit} tokens of the day: try again in "
                    f"{duration(left.reset)}, or ask your administrator (`cleanroom key limit {caller.key_id}`)"
                )
                return Standing(tokens=left, refusal=QuotaError(message, retry_after=left.reset))
            if requests is None:
                return Standing(tokens=left)
            counted = await self._requests.hit(requests, caller.key_id)
            window = await self._requests.get_window_stats(requests, caller.key_id)
        made = Allowance(requests.amount, max(window.remaining, 0), max(window.reset_time - time.time(), 0))
        if counted:
            return Standing(made, left)
        message = (
            f"key {caller.key_id} has made its {made.limit} requests of the minute: try again in "
            f"{duration(made.reset)}, or ask your administrator (`cleanroom key limit {caller.key_id}`)"
        )
        return Standing(made, left, RateLimitError(message, retry_after=made.reset))

    async def spend(self, caller: Caller, tokens: int) -> None:
        """Count `tokens` that `caller` has used: those of the prompt and of the text that is released.

        What the engine wrote and the guard kept back is not counted. A quota that sank by more than `usage` shows, in
        the headers or by running out early, would tell a withheld generation from a short one, and how long it was.
        Its price is the engine's work on withheld text, which requests a minute and places at the engine bound.

        It is counted when it is known, so a key overdraws by at most what it has under way at once.
        """
        item = self._items(caller)[1]
        if item is not None and tokens > 0:
            async with self._store.refusing():
                await self._tokens.hit(item, caller.key_id, cost=tokens)

    async def leaked(self, caller: Caller) -> bool:
        """Count a generation for `caller` that was blocked for private code; whether those of the day are used up.

        Each tells whoever asks that the code is in the index, if it is noticed: what a key can find out in a day is
        bounded. Honest keys come upon a few.
        """
        if self._leaks is None:
            return False
        self._with_leaks_left.pop(caller.key_id, None)
        async with self._store.refusing():
            await self._tokens.hit(self._leaks, caller.key_id)
            window = await self._tokens.get_window_stats(self._leaks, caller.key_id)
        if window.remaining <= 0:
            log.warning("leaks of the day are used up", key=caller.key_id, org=caller.org, leaks=self._leaks.amount)
        return bool(window.remaining <= 0)

    async def _has_leaks_left(self, leaks: Leaks, caller: Caller) -> bool:
        """Whether the day has some left for a key, as the store says or said a moment ago.

        What other processes count in that moment is overdrawn, as by requests that are under way at once.
        """
        now = time.monotonic()
        if now - self._with_leaks_left.get(caller.key_id, -FRESH) < FRESH:
            return True
        left = bool(await self._tokens.test(leaks, caller.key_id))
        if len(self._with_leaks_left) >= REMEMBERED:
            self._with_leaks_left.clear()
        if left:
            self._with_leaks_left[caller.key_id] = now
        return left

    async def _left(self, caller: Caller, tokens: Tokens) -> Allowance:
        window = await self._tokens.get_window_stats(tokens, caller.key_id)
        return Allowance(tokens.amount, window.remaining, max(window.reset_time - time.time(), 0))

    def _items(self, caller: Caller) -> tuple[Requests | None, Tokens | None]:
        """What is counted for a caller."""
        own, defaults = caller.quota, self._defaults
        requests = defaults.requests_per_minute if own.requests_per_minute is None else own.requests_per_minute
        tokens = defaults.tokens_per_day if own.tokens_per_day is None else own.tokens_per_day
        return Requests(requests) if requests else None, Tokens(tokens) if tokens else None


def _used_up(caller: Caller, reset: float) -> QuotaError:
    """The words of a quota of tokens, without their number: what it was that is used up is not told."""
    message = (
        f"key {caller.key_id} has used its quota of the day: try again in {duration(reset)}, or ask your administrator "
        f"(`cleanroom key limit {caller.key_id}`)"
    )
    return QuotaError(message, retry_after=reset)


def duration(seconds: float) -> str:
    """A time as OpenAI's headers write it: `20ms`, `1.5s`, `6m0s`, `23h59m1s`.

    Rounded up, so that whoever waits as long has waited long enough.
    """
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < SECOND:
        return f"{milliseconds}ms"
    if milliseconds < 60 * SECOND:
        return f"{milliseconds / SECOND:g}s"
    minutes, left = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{left}s" if hours else f"{minutes}m{left}s"
