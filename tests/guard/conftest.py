"""Real stores for the guard's tests: the embedded Valkey and Debian's redis-server, flushed between tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from samples.code import JAVA, PYTHON
from samples.indexed import ACME, KEY, Indexed
from samples.ingested import write

from guard.ingest import IndexAddress
from guard.ledger import Ledger
from guard.store import Store, open_store
from guard.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator


# These tests are not about time: machines that run tests are busy, and kernels are compiled when they are first called.
PATIENCE = 5.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A CLEANROOM_HOME that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def _embedded_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(None, tmp_path_factory.mktemp("embedded"), check_timeout=PATIENCE) as store:
        yield store


@pytest.fixture
def embedded_store(_embedded_session: Store) -> Store:
    """An empty store on the embedded server."""
    _embedded_session.writer.flushall()
    return _embedded_session


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a redis-server from the PATH, started for this run. Skips without one, unless it is required."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("CLEANROOM_REQUIRE_REDIS") == "1":
            pytest.fail("CLEANROOM_REQUIRE_REDIS=1, but there is no redis-server on the PATH")
        pytest.skip("no redis-server on the PATH (apt-get install redis-server)")
    # Not under tmp_path: a unix socket's path is short.
    with tempfile.TemporaryDirectory(prefix="cr-redis-") as directory:
        socket = Path(directory) / "redis.sock"
        command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", directory]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            _await(f"unix://{socket}")
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait()


@pytest.fixture(scope="session")
def _redis_session(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(redis_url, tmp_path_factory.mktemp("redis"), check_timeout=PATIENCE) as store:
        yield store


@pytest.fixture
def redis_store(_redis_session: Store) -> Store:
    """An empty store on Debian's redis-server."""
    _redis_session.writer.flushall()
    return _redis_session


@pytest.fixture(params=["embedded", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store; the test runs once on the embedded Valkey and once on redis-server."""
    fixture: Store = request.getfixturevalue(f"{request.param}_store")
    return fixture


def _await(url: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


@pytest.fixture
def indexed(store: Store, home: Path) -> Indexed:
    return Indexed(store, home)


@pytest.fixture
def embedded(embedded_store: Store, home: Path) -> Indexed:
    return Indexed(embedded_store, home)


@pytest.fixture
def address(embedded_store: Store, home: Path) -> IndexAddress:
    return IndexAddress(embedded_store.address, home, KEY.secret)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "project"
    write(root / "ledger.py", PYTHON)
    write(root / "deep" / "router.java", JAVA)
    return Tree(root, ACME)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, home: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{home}/cleanroom.db"
    server = os.environ.get("CLEANROOM_TEST_POSTGRES_URL")
    if not server:
        pytest.skip("CLEANROOM_TEST_POSTGRES_URL is not set")
    with Ledger(server) as ledger, ledger._database.writing() as connection:
        connection.exec_driver_sql("TRUNCATE ledger_entries, ledger_matches, ledger_heads RESTART IDENTITY")
    return server


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger(url) as ledger:
        yield ledger


@pytest.fixture
def file_ledger(home: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{home}/cleanroom.db") as ledger:
        yield ledger
