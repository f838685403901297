"""What a request to a server says on its way there: whom it goes through, and with which credentials."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from service.engines.connection import Connection
from service.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable


async def heads(make: Callable[[int], Connection], *, streamed: bool) -> list[str]:
    """The head that arrives at a port of loopback of the one request that a connection sends; it is answered 503."""
    arrived: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        arrived.extend(head.splitlines())
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        connection = make(server.sockets[0].getsockname()[1])
        connection.open()
        try:
            with pytest.raises(EngineError):
                await (through(connection) if streamed else connection.post("/completions", {"prompt": "x"}))
        finally:
            await connection.close()
    return arrived


async def through(connection: Connection) -> bytes:
    async with connection.stream("/completions", {"prompt": "x"}) as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("streamed", [True, False])
def test_a_proxy_of_the_environment_is_asked_for_others(*, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    def make(port: int) -> Connection:
        monkeypatch.setenv("http_proxy", f"http://me:mine@127.0.0.1:{port}")
        return Connection("http://engine.example/v1", "secret")

    lines = asyncio.run(heads(make, streamed=streamed))
    assert lines[0] == "POST http://engine.example/v1/completions HTTP/1.1"
    assert {"authorization: bearer secret", "proxy-authorization: basic bwu6bwluzq=="} <= {one.lower() for one in lines}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("user", "key", "said"), [("", "secret", "bearer secret"), ("me:mine@", None, "basic bwu6bwluzq==")]
)
def test_credentials_are_those_of_the_key_or_the_url(*, user: str, key: str | None, said: str, streamed: bool) -> None:
    lines = asyncio.run(heads(lambda port: Connection(f"http://{user}127.0.0.1:{port}/v1", key), streamed=streamed))
    assert lines[0] == "POST /v1/completions HTTP/1.1"
    assert f"authorization: {said}" in [line.lower() for line in lines]
