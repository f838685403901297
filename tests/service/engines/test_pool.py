from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn
from samples.upstream import KEY, Upstream, create_upstream

from service.engines import pool as module
from service.engines.connection import Connection
from service.engines.events import read_events
from service.engines.pool import Pool
from service.errors import EngineError, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

COMPLETIONS = "/v1/completions"


@contextmanager
def running(port: int = 0) -> Iterator[Upstream]:
    """A server that is dead at the end."""
    upstream = Upstream()
    with socket.create_server(("127.0.0.1", port)) as listener:
        upstream.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(create_upstream(upstream), log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield upstream
        finally:
            server.should_exit = True
            thread.join()


def connections(*upstreams: Upstream) -> list[Connection]:
    return [Connection(upstream.url, KEY, connect_timeout=0.5, read_timeout=5) for upstream in upstreams]


def body(model: str = "normal") -> dict[str, object]:
    return {"model": model, "prompt": [1]}


async def use(pool: Pool, work: Callable[[], Awaitable[None]]) -> None:
    await pool.start()
    try:
        await work()
    finally:
        await pool.close()
        await pool.close()


async def ask(pool: Pool, model: str = "normal") -> int:
    """Number of the stream's events."""
    async with pool.stream(COMPLETIONS, body(model)) as pieces:
        return len([event async for event in read_events(pieces)])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - what is awaited is another process's
            await asyncio.sleep(0.02)


async def reaches(pool: Pool) -> bool:
    try:
        await ask(pool)
    except EngineUnavailableError:
        return False
    return True


def test_the_least_busy_server_is_asked_first() -> None:
    with running() as first, running() as second:
        pool = Pool(connections(first, second))

        async def work() -> None:
            async with AsyncExitStack() as streams:
                for expected in ([1, 0], [1, 1], [2, 1]):
                    await streams.enter_async_context(pool.stream(COMPLETIONS, body("hang")))
                    assert [len(first.bodies), len(second.bodies)] == expected
            # All streams have been left, so the first one counts as free again.
            await ask(pool)
            assert len(first.bodies) == 3

        asyncio.run(use(pool, work))


def test_a_dead_server_is_passed_over_and_comes_back_by_itself() -> None:
    with running() as living:
        with running() as dying:
            pool = Pool(connections(dying, living))
        port = int(dying.url.rpartition(":")[2])

        async def work() -> None:
            for _ in range(3):
                assert await ask(pool) > 1
            assert len(living.bodies) == 3
            with running(port) as back:

                async def asked() -> bool:
                    await ask(pool)
                    return bool(back.bodies)

                await until(asked)

        asyncio.run(use(pool, work))


def test_without_any_server_it_is_said_at_once_and_the_next_one_is_found() -> None:
    with running() as upstream:
        pool = Pool(connections(upstream))
        port = int(upstream.url.rpartition(":")[2])
        runner = asyncio.Runner()
        runner.run(pool.start())
    with runner:

        async def work() -> None:
            with pytest.raises(EngineUnavailableError):
                await ask(pool)
            with pytest.raises(EngineUnavailableError, match=rf"no server answers \(.*{port}\)"):
                await pool.ready()
            with pytest.raises(EngineUnavailableError):
                await pool.post(COMPLETIONS, body())
            assert await pool.texts("/v1/models") == {}
            assert await pool.get("/v1/models") is None
            with running(port):
                await until(lambda: reaches(pool))
                await pool.ready()
            await pool.close()

        runner.run(work())


def test_it_does_not_start_without_a_server() -> None:
    with running() as upstream:
        pass
    pool = Pool(connections(upstream))
    with pytest.raises(EngineUnavailableError, match="CLEANROOM_ENGINE_URL"):
        asyncio.run(use(pool, pool.ready))


def test_a_busy_server_is_passed_over_and_not_given_up() -> None:
    with running() as upstream:
        pool = Pool(connections(upstream))

        async def work() -> None:
            with pytest.raises(EngineUnavailableError, match="slow down"):
                await ask(pool, "429")
            assert await ask(pool) > 1

        asyncio.run(use(pool, work))


def test_one_bad_request_is_the_requests_fault() -> None:
    with running() as first, running() as second:
        pool = Pool(connections(first, second))

        async def work() -> None:
            for model in ("bad-request", "500"):
                with pytest.raises(EngineError):
                    await ask(pool, model)
            assert (len(first.bodies), len(second.bodies)) == (2, 0)
            assert await ask(pool) > 1

        asyncio.run(use(pool, work))


def test_a_stream_that_breaks_off_has_the_server_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    with running() as first, running() as second:
        pool = Pool(connections(first, second))

        async def work() -> None:
            first.healthy = False
            with pytest.raises(EngineError):
                await ask(pool, "dies")

            async def moved() -> bool:
                await ask(pool)
                return bool(second.bodies)

            await until(moved)
            first.healthy = True
            asked = len(first.bodies)

            async def back() -> bool:
                await ask(pool)
                return len(first.bodies) > asked

            await until(back)

        asyncio.run(use(pool, work))
