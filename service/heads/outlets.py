"""Where heads go: a file that is only appended to, syslog, a webhook. Knows of heads that they are lines.

Each `send` returns once the line has been taken in, as far as the way there tells, and raises OSError or
httpx.HTTPError where it has not.
"""

from __future__ import annotations

import logging
import os
import socket
from logging.handlers import SysLogHandler
from typing import Protocol
from urllib.parse import unquote, urlsplit

import httpx

from service.errors import SetupError

WEBHOOK_SECONDS = 5.0
SYSLOG_PORT = 514
FORMS = "file:///PATH, syslog:///dev/log, syslog://HOST:PORT (UDP), syslog+tcp://HOST:PORT or https://..."


class HeadOutlet(Protocol):
    """One destination."""

    @property
    def name(self) -> str:
        """What messages call it; without secrets."""

    def send(self, line: str) -> None:
        """Hand over one line."""

    def close(self) -> None:
        """Let go of connections."""


class FileOutlet:
    """A file, opened for appending alone. Make it append-only (`chattr +a`), or another machine's, or a pipe."""

    def __init__(self, path: str) -> None:
        self.name = f"file {path}"
        self._path = path

    def send(self, line: str) -> None:
        """Append the line; it is on disk when this returns."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            data = f"{line}\n".encode()
            if os.write(descriptor, data) != len(data):
                message = "only a part of the line was written"
                raise OSError(message)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is open in between."""


class _Raising(SysLogHandler):
    """Python's handler tells of failures on stderr and goes on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - Python's name
        """Let them through."""
        raise  # noqa: PLE0704 - called while it handles the failure


class SyslogOutlet:
    """A syslog daemon, facility `authpriv`, severity `info`. UDP does not tell whether a line arrived."""

    def __init__(self, name: str, address: str | tuple[str, int], kind: socket.SocketKind | None) -> None:
        self.name = name
        self._where = address, kind

    def send(self, line: str) -> None:
        """Hand over the line."""
        address, kind = self._where
        handler = _Raising(address, SysLogHandler.LOG_AUTHPRIV, kind)
        try:
            handler.ident = "cleanroom-ledger: "
            if kind is socket.SOCK_STREAM:
                handler.append_nul = False
                line += "\n"
            handler.emit(logging.makeLogRecord({"msg": line, "levelname": "INFO"}))
        finally:
            handler.close()

    def close(self) -> None:
        """Nothing is open in between."""


class WebhookOutlet:
    """An HTTPS endpoint that gets the line as a JSON body and answers 2xx once it has it. The line itself is signed."""

    def __init__(self, url: str) -> None:
        host = urlsplit(url).hostname
        self.name = f"webhook at {host}"
        self._url = url
        self._client = httpx.Client(timeout=WEBHOOK_SECONDS, follow_redirects=False)

    def send(self, line: str) -> None:
        """Post the line."""
        self._client.post(self._url, content=line, headers={"Content-Type": "application/json"}).raise_for_status()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def outlets_of(text: str | None) -> list[HeadOutlet]:
    """The destinations in a setting, with commas between. Raises SetupError."""
    return [_outlet(one.strip()) for one in (text or "").split(",") if one.strip()]


def _outlet(url: str) -> HeadOutlet:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _unknown(url.partition(":")[0]) from error
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return FileOutlet(unquote(parts.path))
    if parts.scheme == "syslog" and not parts.netloc and parts.path:
        return SyslogOutlet(f"syslog {parts.path}", parts.path, None)
    if parts.scheme in ("syslog", "syslog+tcp") and parts.hostname:
        kind = socket.SOCK_STREAM if parts.scheme == "syslog+tcp" else socket.SOCK_DGRAM
        address = (parts.hostname, port or SYSLOG_PORT)
        return SyslogOutlet(f"{parts.scheme} {address[0]}:{address[1]}", address, kind)
    if parts.scheme in ("http", "https") and parts.hostname:
        return WebhookOutlet(url)
    raise _unknown(parts.scheme)


def _unknown(scheme: str) -> SetupError:
    # Not repeated whole: it may carry a password.
    message = f"CLEANROOM_LEDGER_HEADS names a place ({scheme!r}) that heads cannot be exported to: write {FORMS}"
    return SetupError(message)
