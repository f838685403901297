"""An event loop that lives as long as the engines that are loaded on it."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import uvicorn
from samples.upstream import Upstream, create_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    upstream = Upstream()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        config = uvicorn.Config(create_upstream(upstream), log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield upstream
        server.should_exit = True
        thread.join()


@pytest.fixture
def upstream(server: Upstream) -> Upstream:
    server.bodies.clear()
    server.left.clear()
    server.models = [{"id": "normal", "max_model_len": 2048}]
    return server
