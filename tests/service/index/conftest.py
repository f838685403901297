"""A real server over a real index, for organizations that send their own documents; only the model is scripted."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
from samples.code import SAMPLES
from samples.indexed import Indexed
from samples.sending import SECRET_CODE

from guard.store import open_store
from service.accounts import Scope
from service.documents import Documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guard.check import Guard
    from guard.store import Store
    from service.accounts import Accounts
    from service.parts import Services


PATIENCE = 5.0


@dataclass
class Shelf:
    """The server, what is behind it, and two organizations' keys of scope index."""

    url: str
    indexed: Indexed
    accounts: Accounts
    engine: Any
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.indexed.store

    def key(self, org: str, scope: Scope) -> str:
        return self.accounts.create_key(org, frozenset({scope}))[1]

    def client(self, org: str = "acme") -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.keys[org]}"}, timeout=30)

    def completion(self, org: str, text: str) -> str:
        """What arrives at `org` when the model writes `text`."""
        self.engine.texts = [text]
        headers = {"Authorization": f"Bearer {self.key(org, Scope.COMPLETE)}"}
        body = {"prompt": "# next\n", "max_tokens": 2000}
        reply = httpx.post(f"{self.url}/v1/completions", json=body, headers=headers, timeout=30)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["choices"][0]["text"])


@pytest.fixture(scope="session")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(None, tmp_path_factory.mktemp("store"), check_timeout=PATIENCE) as store:
        yield store


@pytest.fixture
def indexed(_store: Store, tmp_path: Path) -> Indexed:
    _store.writer.flushall()
    return Indexed(_store, tmp_path / "index")


@pytest.fixture
def guard(indexed: Indexed) -> Guard:
    return indexed.guard


@pytest.fixture
def shelf(
    make_services: Callable[..., Services],
    running: Callable[..., Any],
    indexed: Indexed,
    accounts: Accounts,
    engine: object,
) -> Iterator[Shelf]:
    services = replace(make_services(max_index_bytes=65_536), documents=Documents(indexed.index))
    with running(services) as url:
        shelf = Shelf(url, indexed, accounts, engine)
        shelf.keys = {org: shelf.key(org, Scope.INDEX) for org in ("acme", "globex")}
        yield shelf


class Wire:
    """A relay on loopback that keeps what clients send; the first `failures` connections end before they are heard."""

    def __init__(self, url: str, failures: int = 0) -> None:
        self.sent = bytearray()
        self.failures = failures
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        relay = self._relay

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                relay(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _relay(self, client: socket.socket) -> None:
        if self.failures:
            self.failures -= 1
            return
        with socket.create_connection(self._target) as server:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65_536)
                    if not data:
                        return
                    if ready is client:
                        self.sent += data
                    (server if ready is client else client).sendall(data)


@pytest.fixture
def wire(shelf: Shelf) -> Iterator[Wire]:
    with Wire(shelf.url) as wire:
        yield wire


@pytest.fixture
def tapped(shelf: Shelf) -> Callable[..., Wire]:
    """A wire to the server; keywords are its."""
    return lambda **options: Wire(shelf.url, **options)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "wildlife"
    (tree / "savannah").mkdir(parents=True)
    (tree / "savannah" / "rebalancing.py").write_text(SECRET_CODE)
    (tree / "router.java").write_text(SAMPLES["java"])
    (tree / "pool.go").write_text(SAMPLES["go"])
    return tree
