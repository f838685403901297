"""Reads server-sent events (WHATWG HTML, section 9.2) as far as completion servers use them. Knows no JSON fields."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from service.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

# Longest line taken from a server, in characters: a bound on memory, far above any chunk of text.
LINE_LIMIT = 1 << 20
# How long a server may take to end its answer after its last word, before the connection is given up.
ENDING_SECONDS = 0.05


async def read_events(pieces: AsyncIterator[bytes]) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of the `data:` lines in a stream of `pieces`, until it ends or says `[DONE]`.

    Raises EngineError for what is not such a stream.
    """
    async with aclosing(_lines(pieces)) as lines:
        async for line in lines:
            field, _, value = line.partition(":")
            if field != "data":
                # Blank lines end events, comments keep connections alive, other fields are not used here.
                continue
            data = value.strip()
            if data == "[DONE]":
                await _drain(lines)
                return
            yield _event(data)


async def _drain(lines: AsyncGenerator[str, None]) -> None:
    """Read what follows the last word: a connection whose answer was read to its end serves the next request too."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ENDING_SECONDS):
            async for _ in lines:
                pass


def _event(data: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        message = "the engine's server sent a stream that is no JSON: check that its URL is a completion server's"
        raise EngineError(message)
    return event


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str, None]:
    """Lines as UTF-8. Characters split over network packets come out whole; splits are at line ends alone."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield _text(line)
        if len(rest) > LINE_LIMIT:
            message = f"the engine's server sent a line of more than {LINE_LIMIT} bytes: it is no completion server"
            raise EngineError(message)
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        message = "the engine's server sent a stream that is not UTF-8: check that its URL is a completion server's"
        raise EngineError(message) from None
