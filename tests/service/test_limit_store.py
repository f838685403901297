"""Where quotas may be counted: on a real cluster, behind a real sentinel (redis-server on the loopback), in memory."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import redis

from guard.licenses import LicensePolicy
from service.accounts import Caller, Quota
from service.app import create_app
from service.errors import LimitsUnavailableError, SetupError
from service.limit_store import open_limit_store
from service.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.parts import Services

SECONDS = 30.0
SLOTS = 16_384
needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server on the PATH (apt-get install redis-server)"
)


def free_port() -> int:
    """A port whose cluster bus, 10,000 above, can be had too."""
    for port in range(31_000, 39_000):
        with ExitStack() as held:
            try:
                for each in (port, port + 10_000):
                    held.enter_context(socket.create_server(("127.0.0.1", each)))
            except OSError:
                continue
            return port
    pytest.skip("no free ports on the loopback")


@contextmanager
def node(folder: Path, settings: str, *options: str) -> Iterator[tuple[int, redis.Redis]]:
    """A redis-server on a port of the loopback, which answers."""
    folder.mkdir()
    (folder / "redis.conf").write_text(settings)
    port = free_port()
    command = ["redis-server", str(folder / "redis.conf"), *options, "--port", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen([*command, "--dir", str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, protocol=2, driver_info=None)
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield port, client
    finally:
        client.close()
        process.kill()
        process.wait()


def used(url: str, home: Path) -> list[tuple[int, int]]:
    """What is left to three keys after a request and some tokens."""

    async def use() -> list[tuple[int, int]]:
        limits = Limits(open_limit_store(url, home, timeout=5), Quota(3, 50))
        left = []
        try:
            await limits.ready()
            for _ in range(3):
                caller = Caller("acme", secrets.token_hex(6), frozenset(), LicensePolicy.default())
                await limits.request(caller)
                await limits.spend(caller, 20)
                standing = await limits.request(caller)
                assert standing.requests is not None
                assert standing.tokens is not None
                left.append((standing.requests.remaining, standing.tokens.remaining))
        finally:
            await limits.close()
        return left

    return asyncio.run(use())


@needs_redis
def test_a_cluster_counts(tmp_path: Path) -> None:
    with node(tmp_path / "node", "cluster-enabled yes\n") as (port, client):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)  # type: ignore[no-untyped-call]
        deadline = time.monotonic() + SECONDS
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):  # type: ignore[no-untyped-call]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert used(f"redis+cluster://127.0.0.1:{port}", tmp_path) == [(1, 30)] * 3


@needs_redis
def test_the_primary_behind_a_sentinel_counts(tmp_path: Path) -> None:
    with ExitStack() as nodes:
        port, client = nodes.enter_context(node(tmp_path / "primary", ""))
        watch = f"sentinel monitor main 127.0.0.1 {port} 1\n"
        sentinel, _ = nodes.enter_context(node(tmp_path / "sentinel", watch, "--sentinel"))
        assert used(f"redis+sentinel://127.0.0.1:{sentinel}/main/0", tmp_path) == [(1, 30)] * 3
        assert client.keys("crl:requests/*")


def test_one_process_may_count_by_itself(tmp_path: Path) -> None:
    assert used("memory://", tmp_path) == [(1, 30)] * 3


@pytest.mark.parametrize("url", ["http://u:hunter2@x", "redis://u:hunter2@x/0?socket_timeout=9", "memory:/x"])
def test_a_url_that_is_none(tmp_path: Path, url: str) -> None:
    with pytest.raises(SetupError, match="CLEANROOM_LIMITS_URL") as caught:
        open_limit_store(url, tmp_path, timeout=1)
    assert "hunter2" not in str(caught.value)
    assert "CLEANROOM_REDIS_URL" not in str(caught.value)


def test_a_server_does_not_start_on_a_store_that_it_may_not_count_in(
    make_services: Callable[..., Services], tmp_path: Path
) -> None:
    limits = Limits(open_limit_store("redis://127.0.0.1:9/0", tmp_path, timeout=0.3), Quota(1, 1))
    app = create_app(replace(make_services(), limits=limits))

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(
        LimitsUnavailableError, match=r"redis://127\.0\.0\.1:9/0 cannot be reached.*CLEANROOM_LIMITS_URL"
    ):
        asyncio.run(start())
    assert isinstance(app.state.startup_error, LimitsUnavailableError)
