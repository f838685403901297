"""Spreads requests over servers of one model: the least busy one first, those that do not answer not at all.

Knows neither what is asked nor how the servers came to be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog

from service.errors import EngineError, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from service.engines.connection import Connection

HEALTH = "/health"
HEALTH_TIMEOUT = 1.0
TEXT_TIMEOUT = 5.0
# Seconds after which a server that did not answer is asked again.
RETRY_SECONDS = 0.5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Server:
    """One server: how many streams are open to it, whether it answered last, whether to ask it again at once."""

    connection: Connection
    streams: int = 0
    answers: bool = True
    suspect: bool = False


class Pool:
    """Servers that are all as good as each other. `start` and `close` belong to one event loop."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._servers = [Server(connection) for connection in connections]
        self._alarm = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the connections and begin to watch them. Raises EngineUnavailableError unless one server answers."""
        for server in self._servers:
            server.connection.open()
        try:
            await self.ready()
        except BaseException:
            await self.close()
            raise
        self._watch = asyncio.create_task(self._look_after())

    async def close(self) -> None:
        """Break off every stream and stop watching. Safe to call twice."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        for server in self._servers:
            await server.connection.close()

    async def ready(self) -> None:
        """Ask every server. Raises EngineUnavailableError unless one of them answers now."""
        await asyncio.gather(*map(_look_at, self._servers))
        self._by_load()

    @asynccontextmanager
    async def stream(self, path: str, body: dict[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of an open answer of the least busy server to `POST path`; leaving closes it.

        A server that cannot be reached, or says that it is busy, is passed over. Raises EngineUnavailableError where
        none is left, and EngineError where the server fails later on.
        """
        server: Server | None = None
        try:
            async with AsyncExitStack() as stack:
                server, pieces = await self._opened(stack, path, body)
                yield pieces
        except EngineError:
            if server is not None:
                self._suspect(server)
            raise
        finally:
            if server is not None:
                server.streams -= 1

    async def _opened(
        self, stack: AsyncExitStack, path: str, body: dict[str, Any]
    ) -> tuple[Server, AsyncIterator[bytes]]:
        """The first server that takes the request, counted as busier by one, and its answer."""
        failure: EngineError | None = None
        for server in self._by_load():
            server.streams += 1
            try:
                return server, await stack.enter_async_context(server.connection.stream(path, body))
            except BaseException as error:
                server.streams -= 1
                if not isinstance(error, EngineError):
                    raise
                self._suspect(server)
                if not isinstance(error, EngineUnavailableError):
                    raise
                failure = error
        raise failure or _none_left()

    async def post(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """What the least busy server answers to `POST path`; others are asked where one cannot be reached."""
        failure: EngineError | None = None
        for server in self._by_load():
            try:
                return await server.connection.post(path, body)
            except EngineUnavailableError as error:
                self._suspect(server)
                failure = error
            except EngineError:
                self._suspect(server)
                raise
        raise failure or _none_left()

    async def get(self, path: str) -> object:
        """What the first server to give any answers to `GET path`, read as JSON; None where none is."""
        for text in (await self.texts(path)).values():
            with contextlib.suppress(ValueError):
                answer: object = json.loads(text)
                return answer
        return None

    async def texts(self, path: str) -> dict[str, str]:
        """What each server answers to `GET path`, by its place; those that do not answer with 200 are left out."""

        async def ask(server: Server) -> tuple[str, str | None]:
            try:
                answer = await server.connection.get(path, seconds=TEXT_TIMEOUT)
            except EngineError:
                return server.connection.place, None
            text = answer.body.decode(errors="replace") if answer.status == HTTPStatus.OK else None
            return server.connection.place, text

        return {place: text for place, text in await asyncio.gather(*map(ask, self._servers)) if text is not None}

    def _by_load(self) -> list[Server]:
        """The servers that answer, the least busy first. Raises EngineUnavailableError where there is none."""
        answering = sorted((server for server in self._servers if server.answers), key=lambda server: server.streams)
        if not answering:
            raise _none_left(*(server.connection.place for server in self._servers))
        return answering

    def _suspect(self, server: Server) -> None:
        """Have the server looked at now: it may be dead, or merely have refused this one request."""
        server.suspect = True
        self._alarm.set()

    async def _look_after(self) -> None:
        while True:
            # Not `wait_for`, which before Python 3.12 takes a cancellation for the alarm if both come at once.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._alarm.wait()
            self._alarm.clear()
            await asyncio.gather(
                *(_look_at(server) for server in self._servers if server.suspect or not server.answers)
            )


async def _look_at(server: Server) -> None:
    """Find out whether the server answers, and log when that changes."""
    server.suspect = False
    answers = await is_healthy(server.connection)
    if answers != server.answers:
        log.warning("engine_server", place=server.connection.place, answers=answers)
    server.answers = answers


async def is_healthy(connection: Connection) -> bool:
    """Whether the server says that it can generate."""
    try:
        answer = await connection.get(HEALTH, seconds=HEALTH_TIMEOUT)
    except EngineError:
        return False
    return answer.status == HTTPStatus.OK


def _none_left(*places: str) -> EngineUnavailableError:
    message = f"no server answers ({', '.join(places)}): start one, or mend CLEANROOM_ENGINE_URL"
    return EngineUnavailableError(message)
