"""Where leaks are read from: the ledger. The one module of reviews that knows how the ledger is asked.

What it answers is more than a viewer may see and more than a filter means: `Viewer.see` and `LeakFilter.meant` decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.types import Action

if TYPE_CHECKING:
    from guard.ledger import Ledger, LedgerEntry
    from service.review.filters import LeakFilter
    from service.review.viewer import Viewer


class LeakSource:
    """Entries of the ledger that may be leaks. Methods raise LedgerError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def before(self, viewer: Viewer, wanted: LeakFilter, place: int | None, count: int) -> list[LedgerEntry]:
        """Up to `count` entries before the row `place`, the newest first, among them all that are meant."""
        del wanted
        if viewer.admin:
            return self._ledger.entries(action=Action.BLOCK, after=place, limit=count, newest_first=True)
        asked = self._ledger.entries(action=Action.BLOCK, org=viewer.org, after=place, limit=count, newest_first=True)
        owned = self._ledger.entries(
            action=Action.BLOCK, owner=viewer.owner, after=place, limit=count, newest_first=True
        )
        both = {entry.seq: entry for entry in (*asked, *owned)}
        return [both[seq] for seq in sorted(both, reverse=True)[:count]]

    def get(self, leak_id: str) -> LedgerEntry | None:
        """The entry of a decision."""
        return self._ledger.get(leak_id)
