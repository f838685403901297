"""A real service with a real guard and index for real editors, with a model that says what a test tells it to."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from e2e.served import Home, Upstream, _process, copied, package_root
from e2e.test_completions import recited

from service.server import claim_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
EDITORS = os.environ.get("CLEANROOM_TEST_EDITORS")
OWNER, CALLER, LICENSED, NAMED = "httpx", "pathspec", "pygls", "typer"
GHOST = "return [seed + step * n for n in range(7)]"
SERVER = [sys.executable, "-P", "-c", "from lsp.cli import app; app()"]
ENGINE = ("--engine", "openai")


# What drives the editors is installed by make test-editors alone.
collect_ignore_glob = [] if EDITORS else ["test_*.py", "in_*"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.editors)


@dataclass
class Cleanroom:
    """A running service for the organization `birch`. `alder`'s code is private, other code is under licences."""

    home: Home
    upstream: Upstream
    port: int = 0
    pid: int = 0
    metrics_port: int = field(default_factory=lambda: free_port())  # noqa: PLW0108 - defined below
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return self.home.keys["birch"]

    def start(self) -> None:
        """Serve, on the port of the first time."""
        arguments = (*ENGINE, "--base-url", self.upstream.url, "--port", str(self.port))
        metrics = str(self.metrics_port)
        process = _process(self.home, *arguments, ready=True, metrics_port=metrics)
        self.pid, url = self._running.enter_context(process)
        self.port = int(url.rpartition(":")[2])

    def counted(self, language: str, outcome: str) -> float:
        """How many completions in editors came to this, as the service's metrics have it."""
        page = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics").text
        named = (f'language="{language}"', f'outcome="{outcome}"')
        lines = [line for line in page.splitlines() if line.startswith("cleanroom_suggestions_total{")]
        return sum(float(line.split()[-1]) for line in lines if all(name in line for name in named))

    def make_key(self) -> tuple[str, str]:
        """Another key of the caller's: its id, and the key."""
        made = self.home.answer("key", "create", "--org", "birch", "--scope", "complete", "--json")
        return made["id"], made["secret"]  # type: ignore[index,call-overload,no-any-return]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._running.close()

    def stop(self) -> None:
        self._running.close()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with claim_port("127.0.0.1", 0) as free:
        return int(free.getsockname()[1])


@dataclass(frozen=True)
class Recital:
    """A function that the guard knows: its signature and its body."""

    signature: str
    body: str


def function_of(package: str, file: str, name: str) -> Recital:
    """A function at the top of a module."""
    lines = (package_root(package) / file).read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith(f"def {name}("))
    body = next(number for number in range(start, len(lines)) if lines[number].rstrip().endswith(":")) + 1
    end = next((n for n in range(body, len(lines)) if lines[n].strip() and not lines[n][0].isspace()), len(lines))
    return Recital("".join(lines[start:body]), "".join(lines[body:end]).rstrip() + "\n")


@pytest.fixture(scope="session")
def private() -> Recital:
    """Private code of another organization."""
    _, signature, body = recited(OWNER)
    return Recital(signature, body)


@contextmanager
def prepared(folder: Path) -> Iterator[Cleanroom]:
    """A service over a small index: what is nobody's, two organizations, and code under two licences."""
    home = Home(folder / "home")
    trees = folder / "trees"

    def index(package: str, *options: str) -> None:
        done = home.run("index", "add", str(copied(package_root(package), trees / package)), *options, "--jobs", "1")
        assert done.returncode == 0, done.stderr

    with Upstream() as upstream:
        cleanroom = Cleanroom(home, upstream)
        # Some commons, so that the first start does not index all of the standard library.
        index("json", "--commons", "--name", "json")
        cleanroom.start()
        try:
            for org, package in {"alder": OWNER, "birch": CALLER}.items():
                assert home.run("org", "add", org).returncode == 0
                index(package, "--org", org)
                home.keys[org] = home.run("key", "create", "--org", org, "--scope", "complete").stdout.strip()
            index(LICENSED, "--license", "GPL-3.0-only", "--name", LICENSED)
            index(NAMED, "--license", "MIT", "--name", NAMED)
            yield cleanroom
        finally:
            cleanroom.stop()


@pytest.fixture(scope="session")
def _cleanroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cleanroom]:
    with prepared(tmp_path_factory.mktemp("cleanroom")) as cleanroom:
        yield cleanroom


@pytest.fixture
def cleanroom(_cleanroom: Cleanroom) -> Iterator[Cleanroom]:
    """The service, whose model says GHOST at once."""
    upstream = _cleanroom.upstream
    upstream.text, upstream.behaviour, upstream.pause = GHOST, "recites", None
    upstream.paused.clear()
    upstream.go_on.clear()
    yield _cleanroom
    upstream.go_on.set()


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder that tests/editors/install has filled."""
    assert EDITORS is not None
    return Path(EDITORS).resolve()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with files to work in."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "numbers.py").write_text("def sequence(seed, step):\n    ")
    (folder / "numbers.js").write_text("function sequence(seed, step) {\n    ")
    (folder / ".git").mkdir()
    return folder


def environment(home: Path) -> dict[str, str]:
    """A user's who has nothing set up."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLEANROOM_", "XDG_", "NVIM"))}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT)}


def as_lua(value: object) -> str:
    """A value as a Lua expression."""
    return f"vim.json.decode([==[{json.dumps(value)}]==])"
