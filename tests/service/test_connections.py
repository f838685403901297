"""Clients that take their time, on raw sockets."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from samples.scripted import ScriptedEngine, ScriptedGuard

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


def answer(url: str, request: bytes) -> tuple[int, dict[str, str]]:
    """Status and error of the answer to bytes that are no good request."""
    with connected(url) as client:
        with suppress(ConnectionError):  # it may have been answered by now
            client.sendall(request)
        head, _, body = rest(client).partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01 a client that speaks TLS",
        b"GET\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /infill HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /infill HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_no_request_is_answered_as_an_error(url: str, request_bytes: bytes) -> None:
    status, error = answer(url, request_bytes)
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "invalid_http")


TRAILED = b"POST /infill HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"


@pytest.mark.parametrize(
    "beginning",
    [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"GET / HTTP/1.1\r\nX", TRAILED + b"X: "],
    ids=["path", "value", "name", "trailer"],
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(url: str, beginning: bytes) -> None:
    """A megabyte, of which the loop takes a quarter at a time at most."""
    with connected(url) as client:
        client.sendall(beginning)
        sent = 0
        try:
            while sent < 64 * 1024 * 1024:
                sent += client.send(b"x" * 65_536)
        except ConnectionError:
            pass
    assert sent < 16 * 1024 * 1024  # what the sockets between us hold is not ours to say


def test_a_head_that_is_too_large_is_told_so(url: str) -> None:
    with connected(url) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1000)
        time.sleep(0.05)
        client.sendall(b"x" * 66_000)
        reply = rest(client)
    assert reply.startswith(b"HTTP/1.1 431 ")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["code"] == "head_too_large"


def test_large_bodies_and_many_requests_on_one_connection_are_no_heads(url: str, secret: str) -> None:
    body = json.dumps({"prompt": "x" * 150_000, "max_tokens": 1}).encode()
    with connected(url) as client:
        for _ in range(3):
            client.sendall(head(secret, len(body)) + body)
            reply = b""
            while b"usage" not in reply:
                reply += client.recv(65_536)
            assert reply.startswith(b"HTTP/1.1 200")
        # Two at once, of which the second begins behind the first one's body.
        client.sendall(2 * (head(secret, len(body)) + body))
        reply = b""
        while reply.count(b'"usage"') < 2:
            reply += client.recv(65_536)
    assert reply.count(b"HTTP/1.1 200") == 2


def test_a_bad_head_behind_a_stream_does_not_speak_into_it(url: str, secret: str, engine: ScriptedEngine) -> None:
    engine.stuck = True
    body = json.dumps({"prompt": "x", "stream": True}).encode()
    with connected(url) as client:
        client.sendall(head(secret, len(body)) + body)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        client.sendall(b"\x00\x01 no request\r\n\r\n")
        assert b"invalid_http" not in rest(client)
