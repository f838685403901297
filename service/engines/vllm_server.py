"""Owns a `vllm serve` of our own: its socket, its key, its end. Knows nothing of generations.

It listens on a unix socket in a private directory and asks for a random key: any other listener would be a way round
the guard.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from typing import TYPE_CHECKING

from service.engines.connection import OF_A_SOCKET, Connection
from service.engines.pool import is_healthy
from service.engines.sockets import private_socket
from service.engines.supervisor import Supervisor
from service.engines.vllm_command import find_vllm, model_source, served_name, vllm_command, vllm_environment

if TYPE_CHECKING:
    from pathlib import Path

    from service.engines.vllm_command import VllmSettings

SOCKET_NAME = "vllm.sock"


class VllmServer:
    """One supervised server. `start` and `close` belong to one event loop."""

    def __init__(self, settings: VllmSettings) -> None:
        """Raises SetupError where there is no vLLM to run and no such model, and for bad arguments."""
        self._settings = settings
        self._build = find_vllm(settings.command)
        self._key = secrets.token_urlsafe(32)
        self._socket: Path | None = None
        self._probe: Connection | None = None
        self._supervisor: Supervisor | None = None
        self.model = served_name(settings)
        self.released = settings.released
        self.log_file = settings.home / "engine" / "vllm.log"

    @property
    def takes_seeds(self) -> bool:
        """Whether a request may have a seed: builds for CPUs die of one (`CPU Generator does not use offset`)."""
        return not self._build.for_cpu

    async def start(self, read_timeout: float) -> Connection:
        """Load the model and return the way to the server; `read_timeout` is in seconds, between two pieces.

        Raises SetupError with the server's last words where it does not come up.
        """
        source = await asyncio.to_thread(model_source, self._settings, self._build)
        self._socket = socket = private_socket(SOCKET_NAME)
        self._probe = probe = Connection(OF_A_SOCKET, socket=socket)
        probe.open()
        self._supervisor = Supervisor(
            vllm_command(self._settings, self._build, source, socket),
            environment=vllm_environment(self._settings, self._build, self._key),
            log_file=self.log_file,
            socket=socket,
            answers=lambda: is_healthy(probe),
            start_seconds=self._settings.start_seconds,
        )
        await self._supervisor.start()
        return Connection(OF_A_SOCKET, self._key, socket=socket, read_timeout=read_timeout)

    async def close(self) -> None:
        """End the server and remove its socket. Safe to call twice."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.close()
        probe, self._probe = self._probe, None
        if probe is not None:
            await probe.close()
        socket, self._socket = self._socket, None
        if socket is not None:
            shutil.rmtree(socket.parent, ignore_errors=True)
