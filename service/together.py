"""Has one thread do for many what many ask for, in as few goes as come of it. Knows no guard and no ledger.

While a thread works for some, others gather; they are served together by the next go. The more ask at once, the less
each costs, as where databases commit in groups (DeWitt et al., SIGMOD 1984, section 5.2).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from anyio import to_thread

from guard.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

MOST = 32
"""Served in one go at most, so that nobody waits for many others."""


@dataclass(frozen=True, slots=True)
class _Turn(Generic[Asked, Answer]):
    asked: Asked
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Together(Generic[Asked, Answer]):
    """Gathers what is asked of `work`, which answers each in order. Belongs to one event loop.

    `seconds`: how long the last go took.
    """

    def __init__(
        self,
        work: Callable[[list[Asked]], Sequence[Answer]],
        *,
        refusals: tuple[type[Exception], ...] = (RefusalError,),
    ) -> None:
        """`refusals`: errors that are nobody's own; what refuses one refuses all."""
        self._work = work
        self._refusals = refusals
        self._waiting: list[_Turn[Asked, Answer]] = []
        self._going: asyncio.Task[None] | None = None
        self.seconds = 0.0

    async def ask(self, asked: Asked) -> Answer:
        """The answer to one. Raises what the work raises.

        Whoever is cancelled meanwhile gets no answer, but what was asked for is done all the same.
        """
        turn: _Turn[Asked, Answer] = _Turn(asked)
        self._waiting.append(turn)
        if self._going is None or self._going.done():
            self._going = asyncio.create_task(self._go())
        return await turn.answer

    async def _go(self) -> None:
        while self._waiting:
            turns, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            began = time.monotonic()
            await self._serve(turns)
            self.seconds = time.monotonic() - began

    async def _serve(self, turns: list[_Turn[Asked, Answer]]) -> None:
        try:
            answers = await to_thread.run_sync(self._work, [turn.asked for turn in turns])
        except Exception as error:  # noqa: BLE001 - handed on to whoever asked
            if len(turns) > 1 and not isinstance(error, self._refusals):
                # One that cannot be answered takes no other with it; what refuses one refuses all.
                for turn in turns:
                    await self._serve([turn])
                return
            for turn in turns:
                if not turn.answer.done():
                    turn.answer.set_exception(error)
        else:
            for turn, answer in zip(turns, answers, strict=True):
                if not turn.answer.done():
                    turn.answer.set_result(answer)
