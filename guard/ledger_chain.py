"""The chain that one process writes: the next links, and what is known of the last. Knows no database.

Only this process adds to its chain, and it remembers where the chain ends: an entry that somebody else puts there is
noticed with the next of ours, and is in no head that we sign. Not safe for threads.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from guard.errors import LedgerError
from guard.ledger_entry import GENESIS, Head
from guard.ledger_form import linked

if TYPE_CHECKING:
    from collections.abc import Iterable

# Clocks that are kept right step back by less.
CLOCK_BACK_SECONDS = 2.0


def written_now() -> str:
    """The time, as entries have it: UTC, ISO 8601, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True)
class Tip:
    """The last entry of a chain: its head, and when it was written."""

    head: Head
    at: str = ""


class Chain:
    """A chain of this process. `tip` is its last entry, as far as that is known to be in the database."""

    def __init__(self) -> None:
        self.writer = f"w{secrets.token_hex(6)}"
        self.tip = Tip(Head(self.writer, 0, GENESIS))
        self._tried: Tip | None = None

    def link(self, columns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows that `columns` become after `tip`. Say `wrote` once they are in the database.

        Raises LedgerError where the clock has gone back.
        """
        at = _at(self.tip.at)
        rows: list[dict[str, Any]] = []
        number, previous = self.tip.head.entries, self.tip.head.hash
        for each in columns:
            number += 1
            rows.append(linked(each, self.writer, number, at, previous))
            previous = rows[-1]["hash"]
        self._tried = Tip(Head(self.writer, number, previous), at)
        return rows

    def wrote(self) -> None:
        """The rows of the last `link` are in the database."""
        self.tip, self._tried = self._tried or self.tip, None

    @property
    def unsure(self) -> bool:
        """Whether the last rows may be in the database or not: writing them failed on the way."""
        return self._tried is not None

    def settle(self, found: Head) -> None:
        """The chain ends at `found` in the database. Raises LedgerError where that is nothing that we wrote."""
        if self._tried is not None and found == self._tried.head:
            self.wrote()
        elif found == self.tip.head:
            self._tried = None
        else:
            message = (
                f"the ledger's chain {self.writer} ends at entry {found.entries}, which this process did not write: "
                "somebody else changes it. Run `cleanroom ledger verify`, then start the service again"
            )
            raise LedgerError(message)


def _at(last: str) -> str:
    """Now, and never before `last`."""
    now = written_now()
    if last and now < last:
        back = (datetime.fromisoformat(last) - datetime.fromisoformat(now)).total_seconds()
        if back > CLOCK_BACK_SECONDS:
            message = (
                f"the clock went back by {back:.0f} s: the ledger's last entry is of {last}, and it is {now}. Set the "
                "clock; if it is right now, start the service again, which begins a new chain"
            )
            raise LedgerError(message)
        return last
    return now
