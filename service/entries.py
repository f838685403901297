"""What becomes of generations, on record: an entry of the ledger each, and leaks counted against their key.

Knows neither engine nor guard.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from guard.ledger import LedgerRecord
from guard.types import Action, OwnerKind
from service.together import Together
from service.tracing import span

if TYPE_CHECKING:
    import asyncio

    from guard.types import Decision
    from service.accounts import Caller
    from service.completion import CompletionRequest
    from service.parts import Services
    from service.release import Release
    from service.writing import Writing


class Entries:
    """Writes entries and counts leaks. Belongs to one event loop; what many enter at once is written together."""

    def __init__(self, services: Services) -> None:
        self._entries: Together[LedgerRecord, object] = Together(services.ledger.append_all)
        self._metrics = services.metrics
        self._limits = services.limits
        self._release = services.release
        self._model = services.engine.model

    async def enter(
        self,
        request: CompletionRequest,
        index: int,
        writing: Writing,
        released: Release,
        others: asyncio.Barrier | None,
    ) -> None:
        """Enter what leaves, and count the leak that was kept back; what leaves together is entered together."""
        if others is None:
            await self.record(request, index, writing, released)
            await self.count_leak(request.caller, released.decision)
            return
        # A choice that fails takes the others with it: none has left then, so none is entered. Leaks count anyway.
        await self.count_leak(request.caller, released.decision)
        await others.wait()
        await self.record(request, index, writing, released)

    async def record(self, request: CompletionRequest, index: int, writing: Writing, released: Release) -> None:
        """Enter into the ledger what leaves. An entry once begun is written to its end, and before the last of it."""
        record = LedgerRecord(
            decision=replace(released.decision, id=request.decision_ids[index]),
            org=request.caller.org,
            key_id=request.caller.key_id,
            model=request.sampling.model or self._model,
            surface=request.surface,
            disposition=released.disposition.value,
            released_characters=len(released.text),
            generated_characters=len(writing.draft.text),
            release=self._release.label if self._release is not None else None,
            policy=request.caller.policy.version,
        )
        with span("ledger") as seen:
            seen.note(decision=record.decision.id, disposition=record.disposition)
            await self._entries.ask(record)
        self._metrics.recorded(released.decision.action, released.disposition, writing.steers)

    async def count_leak(self, caller: Caller, decision: Decision) -> None:
        """Count a generation that would have given private code away."""
        if self._limits is not None and _leaks(decision) and await self._limits.leaked(caller):
            self._metrics.leaks_used_up()


def _leaks(decision: Decision) -> bool:
    """Whether private code is among what was blocked."""
    return any(
        match.action is Action.BLOCK and match.owner.kind is OwnerKind.ORGANIZATION for match in decision.matches
    )
