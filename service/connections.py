"""How long a connection may take: to bring a request's head, and to take what is sent to it. Knows no request.

Uvicorn waits for both without end, and so would hold what the request holds: one client that stops reading keeps its
generation, and a thousand that send a byte a minute keep a thousand connections. Bodies are the boundary's
(`service.routes.boundary`), which can still answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.auto import AutoHTTPProtocol

if TYPE_CHECKING:
    import asyncio


class PatientProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type] # uvicorn chooses the class at its import
    """Uvicorn's protocol, which cuts off a connection that takes too long, in seconds.

    `head_timeout`: from its beginning, or from the first byte after an answer, to the end of a request's head.
    `write_timeout`: for which the client leaves so much unread that nothing more is written.
    """

    head_timeout: float
    write_timeout: float
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take what has come, and see whether a head is still to come."""
        super().data_received(data)
        self._watch_head()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._writing = self.loop.call_later(self.write_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._stop_writing_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_reading_clock()
        self._stop_writing_clock()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        """Run the clock unless a request is being answered."""
        if self._answering():
            self._stop_reading_clock()
        elif self._reading is None and not self.transport.is_closing():
            self._reading = self.loop.call_later(self.head_timeout, self._end_head)

    def _end_head(self) -> None:
        self._reading = None
        if not self._answering():
            self.transport.abort()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _stop_reading_clock(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _stop_writing_clock(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None


def patient_protocol(head_timeout: float, write_timeout: float) -> type[asyncio.Protocol]:
    """The protocol with these times; uvicorn makes one object of it a connection and has no place for more."""
    times = {"head_timeout": head_timeout, "write_timeout": write_timeout}
    return type("PatientProtocol", (PatientProtocol,), times)
