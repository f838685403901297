"""How the server stands with its service, as an editor's status bar shows it, and noticing that the service is back.

Knows no document and no protocol.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lsp.errors import OverQuotaError, ServiceUnavailableError, StatusKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from lsp.errors import LanguageServerError

LOOK_AGAIN = 1.0
"""Seconds between looks at a service that is away."""


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a completion is being fetched, and what became of the last one."""

    busy: bool
    message: str
    kind: StatusKind


class Standing:
    """The status, told whenever it changes. Belongs to one event loop."""

    def __init__(self, tell: Callable[[Status], None], returned: Callable[[], None]) -> None:
        """`returned` is called when a service that was away is found to be back, or a quota to be over."""
        self._tell = tell
        self._returned = returned
        self._busy = 0
        self._resting = Status(busy=False, message="", kind=StatusKind.NORMAL)
        self._watch: asyncio.Task[None] | None = None
        self._held_until = 0.0
        self.status = Status(busy=False, message="the server is not initialized", kind=StatusKind.INACTIVE)

    @property
    def held(self) -> bool:
        """Whether the key is over its quota, so that only who insists is worth a request."""
        return asyncio.get_running_loop().time() < self._held_until

    def rest(self, kind: StatusKind = StatusKind.NORMAL, message: str = "") -> None:
        """How things stand while nothing is wrong, from now on."""
        self._resting = Status(busy=False, message=message, kind=kind)
        self.well()

    def well(self, remark: str = "") -> None:
        """The service answered; `remark` is what there is to say of it."""
        self._stop()
        self._held_until = 0.0
        resting = self._resting
        self._show(resting if not remark else replace(resting, message=remark))

    def say(self, message: str, kind: StatusKind = StatusKind.NORMAL) -> None:
        """Something passing."""
        self._show(Status(busy=False, message=message, kind=kind))

    def failed(self, error: LanguageServerError, ready: Callable[[], Awaitable[bool]]) -> None:
        """There was no answer; of what passes by itself the end is looked for, by `ready`."""
        self._show(Status(busy=False, message=str(error), kind=error.kind))
        self._stop()
        if isinstance(error, OverQuotaError):
            self._held_until = asyncio.get_running_loop().time() + error.retry_after
            self._watch = asyncio.create_task(self._wait(error.retry_after))
        elif isinstance(error, ServiceUnavailableError):
            self._watch = asyncio.create_task(self._look(ready))

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While a completion is being fetched."""
        self._busy += 1
        self._show(self.status)
        try:
            yield
        finally:
            self._busy -= 1
            self._show(self.status)

    def close(self) -> None:
        """Look no more."""
        self._stop()

    def _show(self, status: Status) -> None:
        status = replace(status, busy=self._busy > 0)
        if status != self.status:
            self.status = status
            self._tell(status)

    def _stop(self) -> None:
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        self._watch = None

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.well()
        self._returned()

    async def _look(self, ready: Callable[[], Awaitable[bool]]) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            if await ready():
                self.well()
                self._returned()
                return
