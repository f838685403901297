"""Whether the ledger's chain holds, as it was last found: one verification at a time, and its result for whoever looks.

Knows how to verify nothing: the ledger does.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guard.ledger import Ledger, Verification


@dataclass(frozen=True, slots=True)
class Verified:
    """A verification: when it began, in seconds since 1970, how many seconds it took, and what it found."""

    at: float
    seconds: float
    result: Verification


class Verifications:
    """The last verification of one process; safe to share between threads."""

    def __init__(self) -> None:
        self._running = threading.Lock()
        self.last: Verified | None = None

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return self._running.locked()

    def verify(self, ledger: Ledger) -> None:
        """Verify now, or not at all while somebody else's verification is under way. Raises LedgerError."""
        if not self._running.acquire(blocking=False):
            return
        try:
            at, began = time.time(), time.monotonic()
            # Those that were exported also show what was cut off since.
            result = ledger.verify([signed.head for signed in ledger.book.last()])
            self.last = Verified(at, time.monotonic() - began, result)
        finally:
            self._running.release()
