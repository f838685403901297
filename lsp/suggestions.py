"""From a place in a document to what could stand there: one request to the service at a time for each document.

Knows neither protocol messages nor statuses.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsp.client import CompletionClient, Suggestion
from lsp.documents import Budget
from lsp.errors import PromptTooLongError

if TYPE_CHECKING:
    from lsprotocol.types import Position, Range, SelectedCompletionInfo

    from lsp.client import Finding
    from lsp.documents import Document, Surroundings
    from lsp.settings import Settings

HALVINGS = 4
"""Times that what is sent is halved, at most, for a model whose window it does not fit."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to put in place of `range`; `text` is empty where there is nothing to propose."""

    text: str
    range: Range
    decision: str = ""
    finding: Finding | None = None


class Suggester:
    """Proposals by one service. Use it in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = CompletionClient(settings.connection)
        self._budget = Budget()
        self._pending: dict[str, asyncio.Task[Proposal]] = {}

    async def aclose(self) -> None:
        """Close the connection to the service."""
        await self._client.aclose()

    async def propose(
        self, uri: str, document: Document, position: Position, selected: SelectedCompletionInfo | None = None
    ) -> Proposal | None:
        """What could stand at `position`; None if a newer request for the same `uri` came in between.

        Not every editor cancels a request that it has lost interest in. Being cancelled closes the request to the
        service. Raises LanguageServerError.
        """
        if earlier := self._pending.pop(uri, None):
            earlier.cancel()
        task = self._pending[uri] = asyncio.create_task(self._ask(document, position, selected))
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            if self._pending.get(uri) is task:
                del self._pending[uri]
        return None if task.cancelled() else task.result()

    async def _ask(self, document: Document, position: Position, selected: SelectedCompletionInfo | None) -> Proposal:
        """Ask the service. Where that is too much for the model's window, ask for less, from now on."""
        for _ in range(HALVINGS):
            place = document.around(position, self._budget, selected)
            try:
                return await self._fetch(place)
            except PromptTooLongError:
                self._budget = self._budget.halved()
        return await self._fetch(document.around(position, self._budget, selected))

    async def _fetch(self, place: Surroundings) -> Proposal:
        if not (place.prefix + place.suffix).strip():
            return Proposal("", place.range)
        # In the middle of a line, what is more than the rest of that line is in the way.
        stop = () if place.alone else ("\n",)
        found: Suggestion = await self._client.complete(
            place.prefix, place.suffix, max_tokens=self._settings.max_tokens, stop=stop
        )
        text = place.kept + found.text if found.text.strip() else ""
        return Proposal(text, place.range, found.decision, found.finding)
