"""Owns the HTTP connection to one model server: its address, its time-outs, what a failure means.

Knows no route's body: engines build those.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from base64 import b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

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
        self._headers = {"Authorization": credentials} if credentials else {}
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        self._socket = socket
        self._client: httpx.AsyncClient | None = None
        self._transport: httpx.AsyncBaseTransport | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._client is not None

    def open(self) -> None:
        """Make ready to send; connects only when there is something to send."""
        if self._client is not None:
            return
        # httpx's own takes a third more of the processor for a stream.
        self._transport = AiohttpTransport(client=self._session)
        self._client = httpx.AsyncClient(
            headers=self._headers,
            timeout=self._timeout,
            transport=self._transport,
            trust_env=False,  # what a netrc file says of a host is not meant for this; proxies are the session's
        )

    def _session(self) -> aiohttp.ClientSession:
        """Any number of connections, to the socket or to whatever the URL names."""
        if self._socket:
            return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._socket), limit=0))
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), proxy=_proxy_for(self._base_url))

    async def close(self) -> None:
        """Break off everything that is under way. Safe to call twice."""
        client, self._client, self._transport = self._client, None, None
        if client is not None:
            await client.aclose()
            await asyncio.sleep(0)  # transports close in the loop's next turn

    async def get(self, path: str, *, seconds: float | None = None) -> httpx.Response:
        """The answer to `GET path`, whatever its status; `seconds` for each step in place of the usual time-outs.

        Raises EngineUnavailableError or EngineError where there is none.
        """
        try:
            return await self._require_client().get(
                f"{self._base_url}{path}", timeout=self._timeout if seconds is None else seconds
            )
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    async def post(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """What the server answers to `POST path`, read as JSON.

        Raises EngineError where it is none, and what `rejection` says of a status that is not 200.
        """
        try:
            response = await self._require_client().post(f"{self._base_url}{path}", json=body)
        except httpx.HTTPError as error:
            raise self._failure(error) from error
        if response.status_code != httpx.codes.OK:
            raise rejection(response.status_code, response.content[:ERROR_LIMIT], self.place)
        try:
            return response.json()
        except ValueError:
            message = f"{self.place}{path} answered what is no JSON: check that it is the server meant"
            raise EngineError(message) from None

    @asynccontextmanager
    async def stream(self, path: str, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        """An open answer to `POST path`. Leaving closes the connection, by which the server learns to stop."""
        client = self._require_client()
        transport = cast("httpx.AsyncBaseTransport", self._transport)
        # Past the client, which spends as much on cookies, redirects and headers as the transport on the exchange.
        request = httpx.Request(
            "POST",
            f"{self._base_url}{path}",
            headers=[*client.headers.raw, (b"Content-Type", b"application/json")],
            content=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
            extensions={"timeout": self._timeout.as_dict()},
        )
        try:
            response = await transport.handle_async_request(request)
            try:
                if response.status_code != httpx.codes.OK:
                    raise rejection(response.status_code, await _beginning(response), self.place)
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    def _failure(self, error: httpx.HTTPError) -> EngineError:
        """What a failed exchange means, without a word of what was sent."""
        kind = type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            message = f"{self.place} cannot be reached ({kind}): start the server or mend the URL"
            return EngineUnavailableError(message)
        if isinstance(error, httpx.TimeoutException):
            message = (
                f"{self.place} sent nothing for {self._timeout.read:g} s: look at that server, or let it be silent for "
                "longer with CLEANROOM_ENGINE_READ_TIMEOUT"
            )
            return EngineError(message)
        message = f"{self.place} broke the connection off ({kind}): look at that server, then retry"
        return EngineError(message)

    def _require_client(self) -> httpx.AsyncClient:
        if self._client is None:
            message = f"the engine of {self.place} is not started: start it first"
            raise EngineUnavailableError(message)
        return self._client


def _proxy_for(url: httpx.URL) -> str | None:
    """URL of the proxy that the environment names for `url`; None for servers of this machine, which none reaches."""
    if is_loopback(url) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    return named if not named or "://" in named else f"http://{named}"


def _basic(url: httpx.URL) -> str:
    return "Basic " + b64encode(f"{url.username}:{url.password}".encode()).decode()


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for piece in response.aiter_bytes():
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
