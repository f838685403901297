"""Where a stream's text leaves while it is still being written, as far as the guard's watch lets it.

Knows no engine and no HTTP.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from anyio import to_thread

from guard.types import Action
from service.metrics import Held
from service.tracing import span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guard.check import GuardQuery
    from guard.watch import Caution, Watch
    from service.draft import Draft
    from service.engines.protocol import TokenLogprobs
    from service.lookout import Lookout
    from service.metrics import HeldMetrics
    from service.parts import Checker

Send: TypeAlias = "Callable[[str, tuple[TokenLogprobs, ...]], Awaitable[None]]"
SUSPECTED_AGAIN = 16
"""Characters after which a suspicion that the check did not confirm is checked again."""


class Outlet:
    """Lets one generation out. `sent` counts the characters that have left; `leaking`: the guard blocks it by now.

    The engine goes on while the text is looked at, so that where looks are slow, or pieces small, each look is for
    several pieces. A token is told as soon as text behind it has left: whether the last
    one before a cut is, must not depend on why the text is cut.
    """

    def __init__(
        self,
        guard: Checker,
        lookout: Lookout,
        query: GuardQuery,
        caution: Caution,
        send: Send,
        metrics: HeldMetrics,
    ) -> None:
        """`query` has all but the text; `send` takes the next piece that leaves, and the tokens told with it."""
        self._guard = guard
        self._lookout = lookout
        self._query = query
        self._caution = caution
        self._send = send
        self._watch: Watch | None = None
        self._look: asyncio.Task[None] | None = None
        self._next = 0.0
        self._settling = asyncio.Event()
        self._checked = 0
        self._held = Held(metrics)
        self._told = 0
        self.sent = 0
        self.leaking = False

    def offer(self, draft: Draft) -> bool:
        """Take the generation so far; whether it is known to leak. Raises what the last look raised."""
        self._held.wrote(len(draft.text))
        if self._look is None or self._look.done():
            if self._look is not None:
                self._look.result()
            self._look = asyncio.create_task(self._let_out(draft))
        return self.leaking

    async def settle(self) -> None:
        """Wait for the look that is under way."""
        self._settling.set()
        if self._look is not None:
            await self._look

    async def rewind(self) -> None:
        """Make ready for another text, of which as much as was sent is the same."""
        if self._look is not None:
            # Not cancelled: a piece that counts as sent must be.
            await asyncio.gather(self._look, return_exceptions=True)
        self._look = None
        self._watch = None
        self._checked = 0
        self._settling.clear()
        self.leaking = False

    def finished(self, text: str) -> None:
        """All of `text` leaves, and nothing after it."""
        self._held.finished(len(text))

    async def _let_out(self, draft: Draft) -> None:
        """Look until there is nothing new, or nobody writes any more."""
        loop = asyncio.get_running_loop()
        while not self.leaking:
            if (early := self._next - loop.time()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(early):
                        await self._settling.wait()
            if self._settling.is_set():
                return  # all of it is checked now
            text = draft.text
            await self._look_at(draft, text)
            self._next = loop.time() + self._lookout.pace
            if len(draft.text) == len(text):
                return

    async def _look_at(self, draft: Draft, text: str) -> None:
        if self._watch is None:
            self._watch = self._guard.watch(self._query, self._caution)
        with span("watch look") as seen:
            hold = await self._lookout.look(self._watch, text)
            seen.note(held_characters=len(text) - hold.safe)
        if hold.suspect and len(text) >= self._checked + SUSPECTED_AGAIN:
            self._checked = len(text)
            decision = await to_thread.run_sync(
                self._guard.check, replace(self._query, text=text), abandon_on_cancel=True
            )
            self.leaking = decision.action is Action.BLOCK
        # A text that is cut loses the blanks at its end: they would tell that it went on.
        safe = len(text[: hold.safe].rstrip())
        if not self.leaking and safe > self.sent:
            piece, self.sent = text[self.sent : safe], safe
            tokens = draft.told(safe)
            fresh, self._told = tokens[self._told :], len(tokens)
            await self._send(piece, fresh)
        self._held.sent(self.sent)
