"""Clients that take their time, on raw sockets."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import ScriptedGuard

    from service.parts import Services

PATIENCE = 20.0


@pytest.fixture
def url(make_services: Callable[..., Services], running: Callable[..., Any]) -> Iterator[str]:
    """A server that waits a quarter of a second."""
    with running(make_services(body_timeout=0.25, write_timeout=0.25)) as url:
        yield url


def connected(url: str, **options: int) -> socket.socket:
    """A connection, with a small buffer if `options` say so."""
    parts = urlsplit(url)
    client = socket.socket()
    for name, value in options.items():
        client.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    client.settimeout(PATIENCE)
    client.connect((parts.hostname, parts.port))
    return client


def head(secret: str, length: int) -> bytes:
    lines = ["POST /v1/completions HTTP/1.1", "Host: x", f"Authorization: Bearer {secret}"]
    lines += ["Content-Type: application/json", f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode()


def dribble(client: socket.socket, seconds: float = PATIENCE) -> bool:
    """Send a byte now and then until the connection is cut; whether it was."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            client.send(b"x")
            time.sleep(0.02)
    except OSError:
        return True
    return False


def rest(client: socket.socket) -> bytes:
    """All that still comes."""
    parts = []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_a_body_that_dribbles_is_answered(url: str, secret: str) -> None:
    with connected(url) as client:
        client.sendall(head(secret, 1000) + b'{"prompt": "')
        # Each byte comes in time, all of them do not.
        while not select_readable(client, 0.02):
            client.send(b"x")
        reply = rest(client).decode()
    assert reply.startswith("HTTP/1.1 408 ")
    assert "connection: close" in reply.lower()
    error = json.loads(reply.partition("\r\n\r\n")[2])["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "body_timeout")


def select_readable(client: socket.socket, seconds: float) -> bool:
    client.settimeout(seconds)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        client.settimeout(PATIENCE)


@pytest.mark.parametrize("beginning", [b"", b"POST /v1/completions HTTP/1.1\r\nX: "])
def test_a_head_that_dribbles_is_cut_off(url: str, beginning: bytes) -> None:
    with connected(url) as client:
        client.sendall(beginning)
        assert dribble(client) if beginning else rest(client) == b""


def test_a_second_head_that_dribbles_is_cut_off(url: str) -> None:
    with connected(url) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        assert dribble(client)


def test_what_follows_an_answer_to_an_unread_body_is_cut_off(url: str) -> None:
    with connected(url) as client:
        client.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 404")
        assert dribble(client)


def test_a_client_that_stops_reading_is_cut_off(url: str, secret: str) -> None:
    body = json.dumps({"prompt": "\n" * 150_000, "echo": True, "stream": True, "max_tokens": 1}).encode()
    with connected(url, SO_RCVBUF=4096) as client:
        client.sendall(head(secret, len(body)) + body)
        assert client.recv(9) == b"HTTP/1.1 "
        # It waits for what it does not take until it is cut off, which shows when it reads on.
        time.sleep(3)
        reply = rest(client)
    assert b"[DONE]" not in reply
    with connected(url) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert rest(client).startswith(b"HTTP/1.1 200")


def test_a_client_that_reads_slowly_gets_all(url: str, secret: str) -> None:
    body = json.dumps({"prompt": "\n" * 3000, "echo": True, "stream": True, "max_tokens": 1}).encode()
    with connected(url, SO_RCVBUF=65_536) as client:
        client.sendall(head(secret, len(body)) + body)
        parts = []
        while not b"".join(parts[-2:]).endswith(b"0\r\n\r\n"):
            parts.append(client.recv(32_768))
            time.sleep(0.01)
    assert b"[DONE]" in b"".join(parts)


def test_an_answer_may_take_longer_than_a_head(
    url: str, secret: str, guard: ScriptedGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "ready", lambda: time.sleep(0.6))
    body = json.dumps({"prompt": "x"}).encode()
    with connected(url) as client:
        client.sendall(head(secret, len(body)) + body)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
