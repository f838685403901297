"""What became of completions, read off the changes of their documents. Keeps decision ids and counts for the service.

Knows no protocol. A text is held only as long as it could still be accepted or is waited for to be kept.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING

from lsp.errors import LanguageServerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lsp.client import Finding

    Report = Callable[[list[dict[str, str]]], Awaitable[None]]

KEPT_AFTER = 30.0
"""Seconds after which an accepted text counts as kept."""
KEPT_SHARE = 0.5
"""Of its lines that must still be there."""
SEND_EVERY = 10.0
REPORT_LIMIT = 64
"""Events that the service takes at once."""
OFFERS = 50
"""Completions whose ids are still known."""


class Outcome(StrEnum):
    """As `POST /v1/feedback` names them."""

    SHOWN = "shown"
    ACCEPTED = "accepted"
    PARTLY_ACCEPTED = "partly_accepted"
    REJECTED = "rejected"
    KEPT = "kept"


@dataclass(slots=True)
class Offer:
    """One completion in one document: `text` was offered for what stood between `before` and `behind`."""

    id: str
    uri: str
    text: str
    decision: str
    language: str
    before: str
    behind: str
    finding: Finding | None = None
    outcome: Outcome = Outcome.SHOWN
    taken: int = field(default=0)
    """Characters of it that stand in the document."""


class Outcomes:
    """The offers of one editor. Belongs to one event loop."""

    def __init__(self, text_of: Callable[[str], str | None], accepted: Callable[[Offer], None]) -> None:
        """`text_of` knows open documents; `accepted` is told of every offer that was taken over whole."""
        self._text_of = text_of
        self._accepted = accepted
        self._numbers = count(1)
        self._offers: dict[str, Offer] = {}
        self._open: dict[str, Offer] = {}
        self._events: dict[tuple[str, Outcome], str] = {}
        self._sending: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self.report: Report | None = None
        self.kept_after = KEPT_AFTER

    def offer(self, offer: Offer) -> Offer:
        """A completion is being shown. One that is the rest of the last, typed along, is the same."""
        standing = self._open.get(offer.uri)
        if standing is not None and standing.decision == offer.decision:
            same = standing.before + standing.text == offer.before + offer.text
            if same and standing.outcome in {Outcome.SHOWN, Outcome.PARTLY_ACCEPTED}:
                return standing
        self._settle(offer.uri)
        offer.id = f"c{next(self._numbers)}"
        self._open[offer.uri] = self._offers[offer.id] = offer
        while len(self._offers) > OFFERS:
            del self._offers[next(iter(self._offers))]
        self._note(offer, Outcome.SHOWN)
        return offer

    def changed(self, uri: str) -> None:
        """A document was edited: see what that says of the completion in it."""
        offer = self._open.get(uri)
        if offer is None or offer.outcome not in {Outcome.SHOWN, Outcome.PARTLY_ACCEPTED}:
            return
        text = self._text_of(uri) or ""
        if not (text.startswith(offer.before) and text.endswith(offer.behind)):
            offer.outcome = Outcome.REJECTED
            return
        written = text[len(offer.before) : len(text) - len(offer.behind)].replace("\r\n", "\n")
        added, offer.taken = len(written) - offer.taken, len(written)
        if written.startswith(offer.text):
            # Typed to its end, key by key, it was in nobody's way, but nobody took it.
            if added > 1:
                self.accepted(offer.id)
            else:
                del self._open[uri]
        elif offer.text.startswith(written):
            if added > 1:
                self._take_part(offer)
        else:
            offer.outcome = Outcome.REJECTED

    def accepted(self, id_: str) -> None:
        """The editor, or a change, says that this one was taken over."""
        offer = self._offers.get(id_)
        if offer is None or offer.outcome is Outcome.ACCEPTED:
            return
        offer.outcome = Outcome.ACCEPTED
        self._note(offer, Outcome.ACCEPTED)
        self._accepted(offer)
        with suppress(RuntimeError):  # outside of a loop nobody waits
            self._timers.add(asyncio.get_running_loop().call_later(self.kept_after, self._look_whether_kept, offer))

    def accepted_part(self, id_: str) -> None:
        """The editor says that the beginning of this one was taken over."""
        offer = self._offers.get(id_)
        if offer is not None and offer.outcome is not Outcome.ACCEPTED:
            self._take_part(offer)

    def rejected(self, id_: str) -> None:
        """The editor says that this one was turned away."""
        offer = self._offers.get(id_)
        if offer is not None and offer.outcome is Outcome.SHOWN:
            offer.outcome = Outcome.REJECTED

    def closed(self, uri: str) -> None:
        """A document was closed."""
        self._settle(uri)

    def pending(self) -> list[dict[str, str]]:
        """The events that were not sent yet."""
        return [
            {"decision": decision, "outcome": outcome.value, "language": language[:REPORT_LIMIT]}
            for (decision, outcome), language in self._events.items()
        ]

    async def close(self) -> None:
        """Send what is left, if that can be done at once."""
        for timer in self._timers:
            timer.cancel()
        for uri in list(self._open):
            self._settle(uri)
        if self._sending is not None:
            self._sending.cancel()
        await self._send()

    def _take_part(self, offer: Offer) -> None:
        offer.outcome = Outcome.PARTLY_ACCEPTED
        self._note(offer, Outcome.PARTLY_ACCEPTED)

    def _settle(self, uri: str) -> None:
        """The completion in a document is gone: nobody took it, unless somebody did."""
        offer = self._open.pop(uri, None)
        if offer is not None and offer.outcome in {Outcome.SHOWN, Outcome.REJECTED}:
            self._note(offer, Outcome.REJECTED)

    def _look_whether_kept(self, offer: Offer) -> None:
        text = self._text_of(offer.uri)
        lines = [line.strip() for line in offer.text.splitlines() if line.strip()]
        # The first one may have been the end of a line.
        if text is not None and sum(line in text for line in lines) >= KEPT_SHARE * len(lines):
            self._note(offer, Outcome.KEPT)

    def _note(self, offer: Offer, outcome: Outcome) -> None:
        if self.report is None:
            return
        self._events[offer.decision, outcome] = offer.language
        if self._sending is None or self._sending.done():
            with suppress(RuntimeError):
                self._sending = asyncio.get_running_loop().create_task(self._send_soon())

    async def _send_soon(self) -> None:
        await asyncio.sleep(SEND_EVERY)
        await self._send()

    async def _send(self) -> None:
        """Send all that there is; what cannot be sent is dropped, since numbers are worth no queue."""
        events = self.pending()
        self._events.clear()
        if self.report is None:
            return
        with suppress(LanguageServerError):
            for first in range(0, len(events), REPORT_LIMIT):
                await self.report(events[first : first + REPORT_LIMIT])
