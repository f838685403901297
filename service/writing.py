"""One continuation, written until it is clean: draft, check, and other tries that lead away from a leak.

The beginning of a draft before the leak is kept, and the engine goes on from there with the token that led into the
leak ruled out; the prompt cache makes that cheap. Knows neither callers, ledger nor HTTP.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import structlog
from anyio import to_thread

from guard.types import Action, Decision
from guard.unfinished import finished
from service.deadlines import in_time
from service.draft import Draft
from service.errors import EngineError
from service.release import Disposition, Release, release

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from guard.check import GuardQuery
    from service.engines.protocol import Chunk, Engine, EnginePrompt, Sampling
    from service.outlet import Outlet
    from service.parts import Checker

STEERS = 5
"""Times that a generation is taken up again before the leak."""

log = structlog.get_logger(__name__)


class Writing:
    """The drafts of one continuation. `draft` is the last one, `steers` counts the tries after the first.

    `seconds`: what the engine took for the first.
    """

    def __init__(
        self, engine: Engine, guard: Checker, query: GuardQuery, outlet: Outlet | None, deadline: float
    ) -> None:
        """`query` has all but the text; `outlet` lets text out meanwhile.

        `deadline`: when the last try must have ended, by the event loop's clock.
        """
        self._engine = engine
        self._guard = guard
        self._query = query
        self._outlet = outlet
        self._deadline = deadline
        self.draft = Draft()
        self.steers = 0
        self.seconds = 0.0

    async def run(self, prompt: EnginePrompt, sampling: Sampling) -> tuple[Release, Release]:
        """Write; returns what could leave of the first draft, and what leaves.

        Raises RefusalError when the guard cannot answer, EngineError when the engine fails over the first draft.
        """
        began = time.monotonic()
        await self._write(self.draft, prompt, sampling)
        self.seconds = time.monotonic() - began
        first = released = await self._checked(sampling)
        ruled_out: defaultdict[int, set[int]] = defaultdict(set)
        while released.leak is not None and self._engine.steers and self.steers < STEERS:
            resumed = self.draft.resumed(released.leak, self._sent)
            if resumed is None:
                break
            place = len(resumed.draft.drawn)
            ruled_out[place].add(resumed.token)
            again = replace(prompt, written=tuple(resumed.draft.drawn), excluded=frozenset(ruled_out[place]))
            try:
                await self._write(resumed.draft, again, sampling)
            except EngineError as error:
                # What is clean of the last draft is better than nothing.
                log.warning("steering failed", error=type(error).__name__)
                break
            self.steers += 1
            self.draft = resumed.draft
            released = await self._checked(sampling)
            if released.leak is None:
                released = replace(released, disposition=Disposition.STEERED)
        return first, released

    async def interrupted(self) -> Release:
        """What had left, and the guard's word on all that was written, when it broke off.

        Where the guard can say nothing any more, its watch has let through what left.
        """
        whole = replace(self._query, text=self.draft.text)
        try:
            decision = await to_thread.run_sync(self._guard.check, whole)
        except Exception as error:  # noqa: BLE001 - it broke off because of it, and says so itself
            log.warning("not checked to its end", error=type(error).__name__)
            decision = Decision("", Action.ALLOW)
        return Release(decision, Disposition.INTERRUPTED, self.draft.text[: self._sent])

    @property
    def _sent(self) -> int:
        return self._outlet.sent if self._outlet is not None else 0

    async def _checked(self, sampling: Sampling) -> Release:
        """What may leave of the draft. A check only reads, so a caller who has gone need not be waited for.

        Where the model did not end it, what it leaves open of a literal stays back (guard.unfinished).
        """
        text = self.draft.text
        if self.draft.finish_reason != "stop" or sampling.stop:
            text = text[: max(self._sent, finished(self._query.prefix, text))]
        query = replace(self._query, text=text)
        return await to_thread.run_sync(release, query, self._guard, self._sent, abandon_on_cancel=True)

    async def _write(self, draft: Draft, prompt: EnginePrompt, sampling: Sampling) -> None:
        """Let the engine write into `draft`, to its end or until what it writes is known to leak.

        Leaving early, by deadline or cancellation, closes the engine's stream.
        """
        rest = replace(sampling, max_tokens=sampling.max_tokens - len(draft.drawn))
        outlet = self._outlet
        try:
            async with in_time(self._deadline):
                # The protocol promises `aclose()`.
                stream = cast("AsyncGenerator[Chunk, None]", self._engine.generate(prompt, rest))
                async with aclosing(stream) as chunks:
                    async for chunk in chunks:
                        draft.add(chunk)
                        # Not before the engine has told of the prompt, where it ever does: a count of another kind
                        # in the usage would tell of the leak.
                        if outlet is not None and outlet.offer(draft) and draft.prompt_tokens is not None:
                            break
                if outlet is not None:
                    await outlet.settle()
        finally:
            if outlet is not None:
                await outlet.rewind()
