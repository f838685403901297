"""Signs the head of this process's chain every so many entries and every so many seconds, and sees it exported.

Works in a thread of its own and never holds up an entry: while heads cannot be exported completions go on, the metric
grows, and the alert tells. Knows the ledger by its end and its book of heads.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import httpx
import structlog

from guard.errors import LedgerError
from service.heads.statement import line_of, signed_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from guard.ledger_entry import Head
    from guard.ledger_heads import Heads, SignedHead
    from registry.keys import SigningKey
    from service.heads.outlets import HeadOutlet

LOOKS_SECONDS = 0.2
"""Between two looks at the end of the chain: a comparison of two numbers."""
LONGEST_PAUSE = 60.0

log = structlog.get_logger(__name__)


class Ended(Protocol):
    """The ledger, as far as its heads go."""

    @property
    def tip(self) -> Head:
        """The end of the chain that this process writes."""

    @property
    def book(self) -> Heads:
        """Where signed heads are kept."""


class HeadKeeper:
    """Signs at the latest `entries` entries or `seconds` seconds after the first entry that no head covers."""

    def __init__(
        self, ledger: Ended, key: SigningKey, outlets: Sequence[HeadOutlet], *, entries: int, seconds: float
    ) -> None:
        self._ledger, self._key, self._outlets = ledger, key, outlets
        self._entries, self._seconds = entries, seconds
        self._signed = self._exported = 0
        self._uncovered_since: float | None = None
        self._unexported_since: float | None = None
        self._pause, self._next_try = LOOKS_SECONDS, 0.0
        self._sent: set[tuple[str, str]] = set()

    @property
    def age(self) -> float:
        """Seconds since the oldest entry of this process that no exported head covers; 0 where all are covered."""
        since = self._unexported_since
        return 0.0 if since is None else time.monotonic() - since

    def look(self, *, last: bool = False) -> None:
        """Sign and export what is due; all that there is where this is the `last` look."""
        now = time.monotonic()
        tip = self._ledger.tip
        if tip.entries > self._signed and self._uncovered_since is None:
            self._uncovered_since = now
        if tip.entries > self._exported and self._unexported_since is None:
            self._unexported_since = now
        if self._uncovered_since is not None and (
            last or tip.entries - self._signed >= self._entries or now - self._uncovered_since >= self._seconds
        ):
            self._sign(tip)
        if last or now >= self._next_try:
            self._export(now)

    def _sign(self, tip: Head) -> None:
        try:
            self._ledger.book.keep(signed_head(tip, self._key))
        except LedgerError as error:
            log.warning("a ledger head cannot be kept", error=str(error))
            return
        self._signed, self._uncovered_since = tip.entries, None
        if self._pause == LOOKS_SECONDS:
            self._next_try = 0.0

    def _export(self, now: float) -> None:
        """Send what waits, heads of processes that are gone too; after a failure, less and less often."""
        self._next_try = now + self._seconds
        try:
            waiting = self._ledger.book.waiting() if self._outlets else []
            for signed in waiting:
                self._send(signed)
        except (LedgerError, OSError, httpx.HTTPError) as error:
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            self._next_try = now + self._pause
            # An URL with a token could stand in the message of an HTTP client.
            log.warning("a ledger head cannot be exported", error=type(error).__name__, retry=round(self._pause, 1))
            return
        self._pause = LOOKS_SECONDS

    def _send(self, signed: SignedHead) -> None:
        line = line_of(signed)
        for outlet in self._outlets:
            # Where one of several fails, the others do not get the line once more.
            if (outlet.name, line) not in self._sent:
                outlet.send(line)
                self._sent.add((outlet.name, line))
        self._ledger.book.exported(signed)
        self._sent.clear()
        if signed.head.writer == self._ledger.tip.writer:
            self._exported = signed.head.entries
            covered = self._exported == self._ledger.tip.entries
            self._unexported_since = None if covered else self._uncovered_since or time.monotonic()


@contextmanager
def kept(keeper: HeadKeeper) -> Iterator[None]:
    """Let `keeper` look while the context lasts, and once more at its end."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(LOOKS_SECONDS):
            try:
                keeper.look()
            except Exception:
                log.exception("ledger heads")

    thread = threading.Thread(target=run, name="ledger heads", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        keeper.look(last=True)
