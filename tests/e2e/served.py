"""A served Cleanroom over real code: two organizations whose code is that of two installed packages."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# Whose private code is what: pure Python packages that are installed wherever the tests run.
ORGANIZATIONS = {"alder": "httpx", "birch": "pathspec"}
LICENSED = "hypothesis"
START_SECONDS = 60


def package_root(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@dataclass
class Home:
    path: Path
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}
        return {**kept, "CLEANROOM_HOME": str(self.path), "NO_COLOR": "1"}

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def answer(self, *arguments: str, text: str | None = None) -> object:
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with the standard library as commons, two organizations and a copyleft corpus, set up by the commands."""
    home = Home(tmp_path_factory.mktemp("cleanroom") / "home")
    copy = tmp_path_factory.mktemp("trees")
    # Held open, so that the embedded store is not stopped and started for every command.
    with serving(home, "--engine", "openai", "--base-url", "http://127.0.0.1:9/v1", ready=False):
        for org, package in ORGANIZATIONS.items():
            # Installed packages stand in a virtual environment, which the walk rightly skips.
            tree = copy / package
            tree.symlink_to(package_root(package))
            assert home.run("org", "add", org).returncode == 0
            done = home.run("index", "add", str(copied(package_root(package), copy / org)), "--org", org, "--jobs", "1")
            assert done.returncode == 0, done.stderr
            home.keys[org] = home.run("key", "create", "--org", org, "--scope", "complete").stdout.strip()
        yield home


def copied(source: Path, target: Path) -> Path:
    """The Python files of a package, elsewhere."""
    for path in source.rglob("*.py"):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    return target


@dataclass(frozen=True)
class Served:
    """A running service, and the model behind it."""

    home: Home
    upstream: Upstream
    url: str
    pid: int


@contextmanager
def serving(
    home: Home,
    *arguments: str,
    ready: bool = True,
    log: Path | None = None,
    program: tuple[str, ...] = ("-m", "service.cli"),
    **settings: str,
) -> Iterator[str]:
    """A `cleanroom serve` process on a free port, which logs to `log`; yields its base URL."""
    with _process(home, *arguments, ready=ready, log=log, program=program, **settings) as (_, url):
        yield url


@contextmanager
def _process(
    home: Home,
    *arguments: str,
    ready: bool,
    log: Path | None = None,
    program: tuple[str, ...] = ("-m", "service.cli"),
    **settings: str,
) -> Iterator[tuple[int, str]]:
    log = log or home.path.parent / f"serve-{time.monotonic_ns()}.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, *program, "serve", "--port", "0", *arguments],
            env={**home.environment, **{f"CLEANROOM_{name.upper()}": value for name, value in settings.items()}},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        yield process.pid, _base_url(process, log, ready=ready)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _base_url(process: subprocess.Popen[bytes], log: Path, *, ready: bool) -> str:
    deadline = time.monotonic() + START_SECONDS * (1 if ready else 4)
    while time.monotonic() < deadline:
        told = [line for line in log.read_text().splitlines() if line.startswith("serving on ")]
        if told:
            url = told[0].removeprefix("serving on ").strip()
            if not ready or _is_ready(url):
                return url
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(f"the service did not start: {log.read_text()}")


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


class Upstream:
    """An OpenAI-compatible server on loopback that recites `text`.

    Its errors quote what it was asked: where `refuses` is a status, and in a stream after `breaks_after` characters.
    """

    def __init__(self) -> None:
        self.text = ""
        self.behaviour = "recites"
        self.pause: int | None = None
        self.paused, self.go_on = threading.Event(), threading.Event()
        self.refuses = 0
        self.breaks_after: int | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        config = uvicorn.Config(self._app(), log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer no more. To say so twice is no error."""
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/models")
        def models() -> dict[str, object]:
            return {"object": "list", "data": [{"id": "reciter", "object": "model"}]}

        @app.post("/v1/completions")
        async def completions(request: Request) -> object:
            body = await request.json()
            quoted = {"error": {"message": json.dumps(body), "type": "BadRequestError", "code": self.refuses}}
            if self.refuses:
                return JSONResponse(quoted, self.refuses)
            if not body.get("stream"):
                return JSONResponse({"choices": [{"text": self.text, "index": 0, "finish_reason": "stop"}]})
            return StreamingResponse(self._events(quoted), media_type="text/event-stream")

        return app

    async def _events(self, quoted: object) -> AsyncIterator[str]:
        """The text in pieces; before the piece at `pause` it waits until it may go on."""
        text, pause = self.text, self.pause
        for start in [*range(0, len(text), 7), None]:
            if pause is not None and (start is None or start >= pause):
                pause = None
                self.paused.set()
                await asyncio.to_thread(self.go_on.wait, 30)
            if self.behaviour == "hangs":
                await asyncio.sleep(60)
            if self.behaviour == "dies":
                message = "the model's worker is gone"
                raise ConnectionAbortedError(message)
            if self.breaks_after is not None and (start is None or start >= self.breaks_after):
                yield f"data: {json.dumps(quoted)}\n\n"
                return
            if self.behaviour == "garbage":
                yield "data: {garbage\n\n"
            if start is not None:
                piece = {"choices": [{"text": text[start : start + 7], "index": 0, "finish_reason": None}]}
                yield f"data: {json.dumps(piece)}\n\n"
                await asyncio.sleep(0)
        yield f"data: {json.dumps({'choices': [{'text': '', 'index': 0, 'finish_reason': 'stop'}]})}\n\n"
        yield "data: [DONE]\n\n"


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def reciting(home: Home, upstream: Upstream) -> Iterator[str]:
    """A service whose model recites."""
    with serving(home, "--engine", "openai", "--base-url", upstream.url) as url:
        yield url


@pytest.fixture(scope="session")
def breakable(home: Home, upstream: Upstream) -> Iterator[Served]:
    """The same, with its model and its process, for tests that break them."""
    arguments = ("--engine", "openai", "--base-url", upstream.url)
    with _process(home, *arguments, ready=True) as (pid, url):
        yield Served(home, upstream, url, pid)
