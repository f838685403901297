from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from service.errors import EngineUnavailableError, SetupError
from service.server import claim_port, serve

if TYPE_CHECKING:
    from types import SimpleNamespace


def test_port_in_use_is_told_before_anything_is_loaded(parts: SimpleNamespace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"127\.0\.0\.1:{port} is in use.*--port"):
            claim_port("127.0.0.1", port)
        settings = parts.services.settings.model_copy(update={"port": port})
        with pytest.raises(SetupError, match="--port"):
            serve(replace(parts.services, settings=settings))
    assert not parts.engine.started


def test_claimed_port_is_nobody_elses() -> None:
    with claim_port("127.0.0.1", 0) as claimed, pytest.raises(SetupError, match="in use"):
        claim_port("127.0.0.1", claimed.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_foreign_address_is_explained(host: str) -> None:
    with pytest.raises(SetupError, match=rf"{host}.*--host"):
        claim_port(host, 0)


@pytest.mark.parametrize("error", [SetupError("pip install this"), EngineUnavailableError("upstream is down")])
def test_engine_that_does_not_start_is_the_error(parts: SimpleNamespace, error: Exception) -> None:
    parts.engine.error = error
    with pytest.raises(type(error), match=str(error)):
        serve(parts.services, claim_port("127.0.0.1", 0))
    assert parts.engine.closed


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_it_gracefully(parts: SimpleNamespace, stop: signal.Signals) -> None:
    listener = claim_port("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    seen: list[int] = []

    def ask_and_stop() -> None:
        # The socket listens already, so this waits until the application has started.
        seen.append(httpx.get(f"{url}/readyz", timeout=30).status_code)
        # A collection of all that was loaded would stop every stream.
        seen.append(gc.get_freeze_count() > 0)
        os.kill(os.getpid(), stop)

    visitor = threading.Thread(target=ask_and_stop)
    visitor.start()
    serve(parts.services, listener)
    visitor.join()
    assert seen == [200, True]
    assert not gc.get_freeze_count()
    assert parts.engine.closed
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
