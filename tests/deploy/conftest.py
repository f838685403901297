"""The store as `deploy/` sets it up: its configuration and ACL file, with secrets made as an operator makes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from guard.valkey import find_binary

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
# Not in the file that is shipped: sees what the users under test have done.
OBSERVER = "user observer on nopass ~* &* +@all\n"
START_SECONDS = 20.0


@dataclass(frozen=True)
class Deployment:
    """A running store, and the passwords of its users."""

    socket: Path
    passwords: dict[str, str]

    def url(self, user: str) -> str:
        return f"unix://{user}:{self.passwords.get(user, '-')}@{self.socket}"

    def client(self, user: str, password: str | None = None) -> redis.Redis:
        password = password or self.passwords.get(user, "-")
        address = f"unix://{user}:{password}@{self.socket}"
        return redis.Redis.from_url(address, protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0))


@pytest.fixture(scope="session")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `deploy/make-secrets` writes."""
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    subprocess.run([DEPLOY / "make-secrets", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session", params=["valkey", "redis"])
def deployment(request: pytest.FixtureRequest, secrets_folder: Path) -> Iterator[Deployment]:
    """The store on a unix socket: once on Valkey, once on Debian's Redis where that is installed."""
    binary = find_binary() if request.param == "valkey" else shutil.which("redis-server")
    if binary is None:
        if os.environ.get("CLEANROOM_REQUIRE_REDIS") == "1":
            pytest.fail("CLEANROOM_REQUIRE_REDIS=1, but there is no redis-server on the PATH")
        pytest.skip("no redis-server on the PATH (apt-get install redis-server)")
    with _running(str(binary), secrets_folder) as deployment:
        yield deployment


@pytest.fixture
def fresh_deployment(secrets_folder: Path) -> Iterator[Deployment]:
    """The store of one test, on Valkey."""
    with _running(str(find_binary()), secrets_folder) as deployment:
        yield deployment


@contextmanager
def _running(binary: str, secrets_folder: Path) -> Iterator[Deployment]:
    passwords = {}
    for name in ("service", "indexer"):
        settings = tomllib.loads((secrets_folder / f"{name}.toml").read_text(encoding="ascii"))
        for url in settings.values():
            address = urlsplit(url)
            passwords[address.username or ""] = address.password or ""
    # Not under tmp_path: a unix socket's path is short.
    with tempfile.TemporaryDirectory(prefix="cr-acl-") as directory:
        users = Path(directory) / "users.acl"
        users.write_text((secrets_folder / "users.acl").read_text(encoding="ascii") + OBSERVER, encoding="ascii")
        socket = Path(directory) / "store.sock"
        configuration = Path(directory) / "valkey.conf"
        configuration.write_text(_moved(directory, users), encoding="ascii")
        log = Path(directory) / "log"
        with log.open("wb") as output:
            command = [binary, str(configuration), "--port", "0", "--unixsocket", str(socket)]
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            deployment = Deployment(socket, passwords)
            _await(deployment, server, log)
            yield deployment
        finally:
            server.terminate()
            server.wait()


def _moved(directory: str, users: Path) -> str:
    """The configuration with this machine's places; all else is the file's."""
    text = (DEPLOY / "valkey" / "valkey.conf").read_text(encoding="ascii")
    for line, here in (("dir /data", f"dir {directory}"), ("aclfile /run/secrets/users.acl", f"aclfile {users}")):
        assert text.count(f"\n{line}\n") == 1
        text = text.replace(f"\n{line}\n", f"\n{here}\n")
    return text


def _await(deployment: Deployment, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with deployment.client("health") as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert server.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < deadline, "the store does not answer"
                time.sleep(0.02)
            else:
                return
