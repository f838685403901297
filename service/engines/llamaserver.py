"""Owns the llama.cpp server inside this process: its parameters, its socket, its end. Knows nothing of generations."""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING, Any

import httpx

from service.engines.sockets import private_socket
from service.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

INSTALL = "pip install 'cleanroom[llamacpp]'"
# Tokens of a prompt that are read in one go. Between two goes others get their turn and a cancelled one ends.
PROMPT_BATCH = 128
# How often a thread of llama.cpp looks for its fellows before it sleeps. The default, hundreds of thousands of times,
# makes generation many times slower as soon as anything else wants a core (docs/decisions/0002).
SPIN_COUNT = "1000"
CONNECT_TIMEOUT = 5.0


class LlamaServer:
    """A loaded model behind a unix socket that only this process can use."""

    def __init__(self, server: object, socket: Path, key: str) -> None:
        self._server: object | None = server
        self._socket = socket
        self._key = key

    def client(self, read_timeout: float) -> httpx.AsyncClient:
        """A client of the socket. `read_timeout` is in seconds, between two pieces of an answer."""
        # Over kept connections requests were lost now and then, closed without an answer; a new one costs little.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(self._socket), limits=limits),
            base_url="http://llama.cpp",
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=httpx.Timeout(read_timeout, connect=CONNECT_TIMEOUT),
        )

    def close(self) -> None:
        """End the server and its threads, free the model, remove the socket. Blocks; clients must be closed before."""
        # xllamacpp ends the server when its object goes.
        self._server = None
        shutil.rmtree(self._socket.parent, ignore_errors=True)


def load_server(model: Path, *, threads: int, context: int, slots: int, adapter: Path | None = None) -> LlamaServer:
    """Load `model` with `slots` slots of `context` tokens each, under `adapter`, a LoRA as GGUF. Blocks meanwhile.

    Raises SetupError when xllamacpp is missing or cannot load the file.
    """
    xllamacpp = _library()
    socket = private_socket("llama.sock")
    key = secrets.token_urlsafe(32)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    if adapter is not None:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    parameters.hostnames = [str(socket)]
    parameters.api_keys = [key]
    parameters.ui = False
    parameters.verbosity = -1
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.n_parallel = slots
    parameters.kv_unified = False
    parameters.n_ctx = slots * context
    parameters.n_batch = PROMPT_BATCH
    parameters.n_ubatch = PROMPT_BATCH
    # The server's own store of past prompts would serve whoever asks next, whatever their cache key.
    parameters.cache_ram_mib = 0
    parameters.cache_idle_slots = False
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError:
        shutil.rmtree(socket.parent, ignore_errors=True)
        message = (
            f"llama.cpp cannot load {str(model)!r} with {slots} x {context} tokens of context: name a whole GGUF file "
            "of a text model, or ask for less context"
        )
        raise SetupError(message) from None
    return LlamaServer(server, socket, key)


def _library() -> Any:  # noqa: ANN401 - xllamacpp has no types
    """Import xllamacpp with the spinning of its OpenMP threads held down, unless the environment says how.

    libgomp reads the variable once, when it is loaded; children of this process need not inherit it.
    """
    ours = "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ
    if ours:
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        return importlib.import_module("xllamacpp")
    except ImportError:
        message = f"the engine llamacpp needs xllamacpp, which is not installed: run {INSTALL}"
        raise SetupError(message) from None
    finally:
        if ours:
            del os.environ["GOMP_SPINCOUNT"]
