"""No source text in logs, metrics, traces, ledger or store: words are planted wherever a caller or a model can put one.

The service runs as a process over the real store, at its most talkative, and each of its routes is driven.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import secrets
import signal
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from e2e.faulty import UNFORESEEN
from e2e.served import ORGANIZATIONS, package_root, serving
from fastapi.routing import APIRoute

import service.routes
from guard.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.served import Home, Upstream

    from guard.store import Store

MARK = f"zqx{secrets.token_hex(4)}"
OWNER, OTHER = ORGANIZATIONS
# With the mark in it, and yet headers that a server may look at.
HEADERS = {
    name: f"{MARK} {name}"
    for name in ("User-Agent", "Referer", "Cookie", "Accept", "X-Request-Id", "X-Forwarded-For", "Baggage")
} | {"Tracestate": f"vendor={MARK}", "Traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
TALKATIVE = {"log_level": "debug", "metrics_port": "0", "requests_per_minute": "0"}


@dataclass
class Collector:
    """An OpenTelemetry collector on loopback that keeps what it is sent."""

    bodies: list[bytes] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[str]:
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def private_code() -> str:
    """Two hundred lines of the owner's."""
    return "".join(
        package_root(ORGANIZATIONS[OWNER]).joinpath("_urlparse.py").read_text().splitlines(keepends=True)[200:400]
    )


def routes() -> list[tuple[str, str]]:
    """Method and path of every route there is."""
    modules = [
        importlib.import_module(f"service.routes.{one.name}") for one in pkgutil.iter_modules(service.routes.__path__)
    ]
    routers = [module.router for module in modules if hasattr(module, "router")]
    found = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return sorted((method, route.path) for route in found for method in route.methods)


def body_with_marks(**others: object) -> dict[str, Any]:
    """A request for a completion in the words of every interface, marked wherever it can be."""
    marked = {name: f"# {MARK} {name}\n" for name in ("prompt", "suffix", "input_prefix", "input_suffix", "user")}
    return {**marked, "stop": [f"{MARK}stop"], "max_tokens": 400, **others}


def drive(client: httpx.Client, upstream: Upstream) -> list[int]:
    """Everything that a caller and a model can do; returns the statuses."""
    upstream.refuses, upstream.breaks_after = 0, None
    bodies = [body_with_marks(), body_with_marks(stream=True), body_with_marks(n=2, echo=True, logprobs=1)]
    bodies += [body_with_marks(model=MARK), body_with_marks(prompt=f"{MARK} {UNFORESEEN}")]
    bodies += [
        body_with_marks(prompt=f"{MARK} {UNFORESEEN}", stream=True),
        body_with_marks(max_tokens=MARK, **{MARK: 1}),
    ]
    bodies += [body_with_marks(context=[{"path": f"{MARK}.py", "text": f"{MARK} = 1\n"}])]
    replies = []
    for upstream.text in (f"{MARK} = 1\n", f"{MARK} = 1\n{private_code()}\n{MARK} = 2\n"):
        replies += [client.request(*route, json=body) for route in routes() for body in bodies]
    replies += [client.request(*route, content=f'{{"prompt": "{MARK}'.encode()) for route in routes()]
    for upstream.refuses in (400, 422, 429, 500):
        replies += [client.post("/v1/completions", json=body) for body in bodies[:2]]
    upstream.refuses, upstream.breaks_after = 0, 14
    replies += [client.post("/v1/completions", json=body) for body in bodies[:2]]
    replies += [client.get(f"/{MARK}?{MARK}={MARK}"), client.request(MARK.upper(), f"/v1/models?{MARK}")]
    replies += [client.patch(f"/v1/models?{MARK}")]
    replies += [client.put("/v1/index/documents", content=MARK, headers={"Content-Type": "application/octet-stream"})]
    replies += [client.request("DELETE", "/v1/index/documents", json={"paths": [f"{MARK}.py"]})]
    replies += [client.post("/v1/completions", json=bodies[0], headers={"Authorization": f"Bearer {MARK}"})]
    replies += [client.post("/v1/completions", json=bodies[0], headers={"Traceparent": MARK})]
    replies += [client.post("/v1/completions", content=b"x" * 2_000_000 + MARK.encode())]
    return [reply.status_code for reply in replies]


def talk_nonsense(url: str) -> None:
    """What is no HTTP, and what asks for another protocol."""
    place = urlsplit(url)
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    for said in (f"{MARK} nonsense\r\n\r\n", f"GET /{MARK}?{MARK} HTTP/1.1\r\nHost: {MARK}\r\n{upgrade}\r\n"):
        with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
            connection.sendall(said.encode())
            connection.settimeout(5)
            assert connection.recv(100)


@contextmanager
def stopped(store: Store) -> Iterator[None]:
    pid = int(store.writer.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def contents(store: Store) -> Iterator[bytes]:
    """Every key and every value, as they are and not as the store's files compress them."""
    client: Any = store.writer
    readers = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"list": lambda key: client.lrange(key, 0, -1),
    }
    for key in client.scan_iter(count=10_000):
        kind = client.type(key)
        if kind == b"none":
            continue  # what keys have used lives for a minute
        value = readers[kind](key)
        yield key
        yield value if isinstance(value, bytes) else repr(value).encode()


def assert_untold(name: str, text: bytes, code: list[bytes]) -> None:
    at = text.lower().find(MARK.encode())
    assert at < 0, f"{name}: ...{text[max(0, at - 300) : at + 80]!r}"
    for line in code:
        assert line not in text, f"{name} has {line!r}"


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_text_is_told(home: Home, upstream: Upstream, tmp_path: Path, form: str) -> None:
    log, collector = tmp_path / "log", Collector()
    traced = find_spec("opentelemetry.sdk") is not None
    key = home.run("key", "create", "--org", OTHER, "--scope", "complete", "--scope", "index").stdout.strip()
    with collector.listening() as endpoint:
        settings = {
            **TALKATIVE,
            "log_format": form,
            **({"otlp_endpoint": endpoint} if traced else {}),
        }
        program = (str(Path(__file__).with_name("faulty.py")),)
        arguments = ("--engine", "openai", "--base-url", upstream.url)
        with (
            open_store(None, home.path) as store,
            serving(home, *arguments, log=log, program=program, **settings) as url,
            httpx.Client(base_url=url, headers={**HEADERS, "Authorization": f"Bearer {key}"}, timeout=30) as client,
        ):
            statuses = drive(client, upstream)
            talk_nonsense(url)
            with stopped(store):
                statuses += [
                    client.get("/readyz").status_code,
                    client.post("/v1/completions", json=body_with_marks()).status_code,
                ]
            told = next(line for line in log.read_text().splitlines() if line.startswith("metrics on "))
            metrics = httpx.get(told.removeprefix("metrics on ")).content
            dump = b"\n".join(contents(store))
    upstream.refuses, upstream.breaks_after = 0, None
    ledger = home.run("ledger", "export").stdout.encode()
    code = [line.strip().encode() for line in private_code().splitlines() if len(line.strip()) > 20]

    # All that should have happened did.
    assert {200, 400, 401, 404, 405, 413, 500, 502, 503} <= set(statuses)
    for word in (b"unforeseen", b"not ready", b"generation", b"ValueError", b"Invalid HTTP request"):
        assert word in log.read_bytes()
    assert b'cleanroom_generations_total{action="block"' in metrics
    assert b'"block"' in ledger
    assert not traced or b"guard check" in b"".join(collector.bodies)
    assert len(dump) > 100_000

    assert_untold("the log", log.read_bytes(), code)
    assert_untold("the metrics", metrics, code)
    assert_untold("the traces", b"".join(collector.bodies), code)
    assert_untold("the ledger", ledger, code)
    assert_untold("the store", dump, code)
    for path in home.path.rglob("*"):
        if path.is_file():
            assert_untold(path.name, path.read_bytes(), code)
