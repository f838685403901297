"""Owns the HTTP connection to one model server: its address, its time-outs, what a failure means.

Knows no route's body: engines build those.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx

from service.engines.upstream import rejection
from service.errors import EngineError, EngineUnavailableError, SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONNECT_TIMEOUT = 2.0
READ_TIMEOUT = 30.0
# Most of an error's body that is read, in bytes: of it, 200 characters at most are repeated.
ERROR_LIMIT = 16_384
OF_A_SOCKET = "http://localhost"
# Answers come as they are: packed, a stream would leave in lumps.
PLAIN = {"Accept-Encoding": "identity"}
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes

    def json(self) -> object:
        """What the body says. Raises ValueError where it is no JSON."""
        answer: object = json.loads(self.body)
        return answer


class Connection:
    """Requests to one server, by URL or over a unix socket, many at once."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        socket: Path | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        """`base_url` comes before every path; with `socket` its host is a mere name.

        Time-outs are in seconds; `read_timeout` is that between two pieces of an answer. Raises SetupError for a URL
        that is none.
        """
        url = require_url(base_url)
        # A password in the URL is a header's business, and nobody else's.
        self._base_url = url.copy_with(userinfo=b"")
        self.place = str(self._base_url) if socket is None else "the supervised server"
        credentials = f"Bearer {api_key}" if api_key else _basic(url) if url.userinfo else ""
        self._headers = PLAIN | ({"Authorization": credentials} if credentials else {})
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout, sock_read=read_timeout)
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._session is not None

    def open(self) -> None:
        """Make ready to send; connects only when there is something to send. Call it in the event loop that sends."""
        if self._session is not None:
            return
        # As many connections as are asked for: who may generate is decided before.
        connector = aiohttp.UnixConnector(str(self._socket), limit=0) if self._socket else aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=None if self._socket else _proxy_for(self._base_url),
        )

    async def close(self) -> None:
        """Break off everything that is under way. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            await asyncio.sleep(0)  # transports close in the loop's next turn

    async def get(self, path: str, *, seconds: float | None = None) -> Answer:
        """The answer to `GET path`, whatever its status; `seconds` for each step in place of the usual time-outs.

        Raises EngineUnavailableError or EngineError where there is none.
        """
        limits = None if seconds is None else aiohttp.ClientTimeout(None, sock_connect=seconds, sock_read=seconds)
        return await self._whole("GET", path, timeout=limits or self._timeout)

    async def post(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """What the server answers to `POST path`, read as JSON.

        Raises EngineError where it is none, and what `rejection` says of a status that is not 200.
        """
        answer = await self._whole("POST", path, data=_packed(body), headers=_JSON)
        if answer.status != HTTPStatus.OK:
            raise rejection(answer.status, answer.body[:ERROR_LIMIT], self.place)
        try:
            return answer.json()
        except ValueError:
            message = f"{self.place}{path} answered what is no JSON: check that it is the server meant"
            raise EngineError(message) from None

    @asynccontextmanager
    async def stream(self, path: str, body: dict[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of an open answer to `POST path`, as they come.

        Leaving closes the connection, by which the server learns to stop, unless the answer was read to its end.
        """
        url = f"{self._base_url}{path}"
        try:
            response = await self._opened().post(url, data=_packed(body), headers=_JSON, allow_redirects=False)
            try:
                if response.status != HTTPStatus.OK:
                    raise rejection(response.status, await _beginning(response), self.place)
                yield response.content.iter_any()
            finally:
                response.close()
        except aiohttp.ClientError as error:
            raise self._failure(error) from error

    async def _whole(self, method: str, path: str, **more: Any) -> Answer:  # noqa: ANN401 - aiohttp's own
        url = f"{self._base_url}{path}"
        try:
            async with self._opened().request(method, url, allow_redirects=False, **more) as response:
                return Answer(response.status, await response.read())
        except aiohttp.ClientError as error:
            raise self._failure(error) from error

    def _failure(self, error: aiohttp.ClientError) -> EngineError:
        """What a failed exchange means, without a word of what was sent."""
        kind = type(error).__name__
        if isinstance(error, aiohttp.SocketTimeoutError):
            message = (
                f"{self.place} sent nothing for {self._timeout.sock_read:g} s: look at that server, or let it be "
                "silent for longer with CLEANROOM_ENGINE_READ_TIMEOUT"
            )
            return EngineError(message)
        # Also where a connection that was kept turns out to be closed before the answer begins.
        if isinstance(error, aiohttp.ClientConnectionError):
            message = f"{self.place} cannot be reached ({kind}): start the server or mend the URL"
            return EngineUnavailableError(message)
        message = f"{self.place} broke the connection off ({kind}): look at that server, then retry"
        return EngineError(message)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            message = f"the engine of {self.place} is not started: start it first"
            raise EngineUnavailableError(message)
        return self._session


def _proxy_for(url: httpx.URL) -> str | None:
    """URL of the proxy that the environment names for `url`; None for servers of this machine, which none reaches."""
    if is_loopback(url) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    return named if not named or "://" in named else f"http://{named}"


def _basic(url: httpx.URL) -> str:
    return "Basic " + b64encode(f"{url.username}:{url.password}".encode()).decode()


def _packed(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > ERROR_LIMIT:
            break
    return body[:ERROR_LIMIT]


def require_url(url: str) -> httpx.URL:
    """The URL without a closing slash. Raises SetupError unless it is http or https with a host."""
    try:
        parsed = httpx.URL(url.rstrip("/"))
    except httpx.InvalidURL:
        parsed = None
    if parsed is None or parsed.scheme not in {"http", "https"} or not parsed.host:
        message = "the engine's URL is none of a completion server: write it as http://127.0.0.1:8000/v1"
        raise SetupError(message)
    return parsed


def is_loopback(url: httpx.URL) -> bool:
    """Whether the URL's host is this machine's own loopback."""
    if url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False
