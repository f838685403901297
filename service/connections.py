"""What a connection may take: time to bring a request's head and to take what is sent to it, and bytes of a head.

Uvicorn bounds none of them, and so would hold what the request holds: one client that stops reading keeps its
generation, a thousand that send a byte a minute keep a thousand connections, and a head without an end fills the
memory before anybody has asked for a key. Bodies are the boundary's (`service.routes.boundary`), which can still
answer. Knows no request.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.schemas import ErrorBody, ErrorDetail

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_LIMIT = 65_536
"""Bytes in a row that may bring neither an end of a head nor any body, after the piece in which a head begins."""


class PatientProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which cuts off a connection that takes too much; times are in seconds.

    `head_timeout`: from its beginning, or from the first byte after an answer, to the end of a request's head.
    `write_timeout`: for which the client leaves so much unread that nothing more is written.
    """

    head_timeout: float
    write_timeout: float
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _got_on = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take what has come, and see whether a head is still to come."""
        self._got_on = False
        super().data_received(data)
        self._head_bytes = 0 if self._got_on else self._head_bytes + len(data)
        if self._head_bytes > HEAD_LIMIT:
            message = f"the request's head is larger than {HEAD_LIMIT} bytes: send less in headers and URL"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", message)
        self._watch_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._got_on = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head has ended."""
        self._got_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Some of a body has come; what follows it may have fields of its own (RFC 9112, section 7.1.2)."""
        self._got_on = True
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request of HTTP in the shape of all other errors."""
        del msg
        self._refuse(HTTPStatus.BAD_REQUEST, "invalid_http", "this is no request of HTTP/1.1")

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

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        """Answer with an error, unless an answer is under way, and close."""
        if self.transport.is_closing():
            return
        if not self._answering():
            detail = ErrorDetail(message=message, type="invalid_request_error", code=code)
            body = ErrorBody(error=detail).model_dump_json()
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nCache-Control: no-store\r\n"
            shape = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.transport.write(f"{head}{shape}{body}".encode("ascii"))
        self.transport.close()

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
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn says
        return cycle is not None and not cycle.response_complete

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
