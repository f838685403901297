"""A service of services that a test has put together, over HTTP in a thread of the test's process."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from service.app import create_app
from service.server import claim_port, configured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.parts import Services


@contextmanager
def served_in_thread(services: Services, port: int = 0) -> Iterator[str]:
    """The URL of a running service; port 0 is any that is free."""
    listener = claim_port("127.0.0.1", port)
    server = uvicorn.Server(configured(create_app(services), services.settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
