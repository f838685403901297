"""Runs the web application on a socket until it is told to stop. Knows nothing of what the application does."""

from __future__ import annotations

import errno
import gc
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

from service.app import create_app
from service.connections import patient_protocol
from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from service.parts import Services
    from service.settings import Settings

# Seconds that requests under way may still take once the server is told to stop.
GRACE = 10
METRICS_NAMES = ("CLEANROOM_METRICS_HOST", "CLEANROOM_METRICS_PORT")


def claim_port(host: str, port: int, names: tuple[str, str] = ("--host", "--port")) -> socket.socket:
    """Bind the address, before anything is loaded that takes minutes. Port 0 takes any free one.

    `names` are how messages name the two. Raises SetupError that names the address and the remedy.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        message = f"{host!r} is no address of this machine ({error.strerror}): choose another with {names[0]}"
        raise SetupError(message) from None
    claimed = socket.socket(family, kind, protocol)
    claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        claimed.bind(address)
        # Listening is what makes the port ours; a caller who comes while the model loads waits in the queue.
        claimed.listen(socket.SOMAXCONN)
    except OSError as error:
        claimed.close()
        if error.errno == errno.EADDRINUSE:
            message = f"{host}:{port} is in use: stop what listens there, or choose another with {names[1]}"
        else:
            message = (
                f"{host}:{port} cannot be listened on ({error.strerror}): choose others with {' and '.join(names)}"
            )
        raise SetupError(message) from None
    return claimed


@contextmanager
def claimed_metrics(settings: Settings) -> Iterator[socket.socket | None]:
    """The socket on which metrics are read; None where nobody is to. Raises SetupError as `claim_port` does."""
    if settings.metrics_port is None:
        yield None
        return
    with claim_port(settings.metrics_host, settings.metrics_port, METRICS_NAMES) as claimed:
        yield claimed


def serve(
    services: Services, listener: socket.socket | None = None, metrics_socket: socket.socket | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is under way, close the engine and return.

    `listener` is what `claim_port` returned, by default for the host and port of the settings, and `metrics_socket`
    for those of the metrics, where they are to be read. Raises SetupError or EngineUnavailableError when the service
    cannot start.
    """
    with listener or claim_port(services.settings.host, services.settings.port) as claimed:
        app = create_app(services)
        app.state.metrics_socket = metrics_socket
        try:
            with _survived_signals():
                _Server(configured(app, services.settings)).run(sockets=[claimed])
        except SystemExit:
            # Uvicorn ends the process when the application does not start; the reason is worth more.
            if app.state.startup_error is None:
                raise
            raise app.state.startup_error from None
        finally:
            gc.unfreeze()


def configured(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        http=patient_protocol(settings.body_timeout, settings.write_timeout),
        access_log=False,
        # Uvicorn would log the URLs of those who try.
        ws="none",
        log_config=None,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )


class _Server(uvicorn.Server):
    """Uvicorn's, for a process that does nothing else.

    What is there once all is loaded stays to the end. The garbage collector would go through it again and again, and
    every stream would stand still for a seventh of a second (CPython's `gc.freeze`).
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        if self.started:
            gc.collect()
            gc.freeze()


@contextmanager
def _survived_signals() -> Iterator[None]:
    """Let the caller go on after a graceful stop: uvicorn raises the signal that stopped it once more."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, previous)
