from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import RefusalError, StoreEmptyError, StoreMismatchError, StoreUnavailableError
from guard.store import STAMP_KEY, Stamp, Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

STAMP = Stamp(schema=1, scheme="winnow-1", key_check="c" * 32, index_id="a" * 32)
UNBOUND = Stamp(STAMP.schema, STAMP.scheme, STAMP.key_check, "")


class Server:
    """A redis-server of this test's own, to stop, kill and misconfigure."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.url = f"unix://{directory}/redis.sock"
        self._command = ["redis-server", "--port", "0", "--unixsocket", f"{directory}/redis.sock"]
        self._command += ["--save", "", "--dir", str(directory), *options]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.AuthenticationError:
                    return
                except redis.ConnectionError:
                    assert self.process.poll() is None
                    time.sleep(0.02)
                else:
                    return

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(*options: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="cr-own-") as directory:
        server = Server(Path(directory), *options)
        try:
            yield server
        finally:
            server.end()


@pytest.fixture
def server(redis_url: str) -> Iterator[Server]:
    assert redis_url  # skips where there is no redis-server
    with serving() as server:
        yield server


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A port that answers everything with `reply`: the errors that no real server can be brought to here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    while connection.recv(65536):
                        connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


texts = st.text(max_size=40)


@given(st.builds(Stamp, st.integers(0, 1 << 40), texts, texts, texts, st.integers(0, 9)))
def test_a_stamp_survives_its_bytes(stamp: Stamp) -> None:
    assert Stamp.from_bytes(stamp.to_bytes()) == stamp


@given(
    st.binary()
    | st.sampled_from(
        [b"null", b"[]", b"{}", b'{"schema":1}', replace(STAMP, generation=10).to_bytes(), STAMP.to_bytes() + b" "]
    )
)
def test_anything_else_is_no_stamp(data: bytes) -> None:
    with pytest.raises(StoreMismatchError, match="cleanroom index add"):
        Stamp.from_bytes(data)


def test_reader_and_writer_answer_bytes(store: Store) -> None:
    store.writer.set(b"cr:test", b"\x00\xff")
    assert store.reader.get(b"cr:test") == b"\x00\xff"
    store.ping()


def test_an_empty_store_is_refused(store: Store) -> None:
    assert store.read_stamp() is None
    with pytest.raises(StoreEmptyError, match="cleanroom index add"):
        store.require(STAMP)


def test_an_index_begins_once(store: Store) -> None:
    store.writer.set(b"others:key", b"may stand beside ours")
    assert store.initialize(STAMP) == STAMP
    assert store.read_stamp() == STAMP
    second = Stamp(STAMP.schema, STAMP.scheme, STAMP.key_check, "b" * 32)
    assert store.initialize(second) == STAMP
    assert store.reader.get(STAMP_KEY) == STAMP.to_bytes()


def test_of_many_that_begin_an_index_together_one_does(store: Store) -> None:
    stamps = [Stamp(STAMP.schema, STAMP.scheme, STAMP.key_check, f"{n:032x}") for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(store.initialize, stamps))) == 1


def test_the_rest_of_a_lost_index_is_not_built_upon(store: Store) -> None:
    store.writer.mset({f"others:{n}".encode(): b"" for n in range(2000)})
    store.writer.set(b"cr:postings", b"left over")
    with pytest.raises(StoreMismatchError, match="no stamp"):
        store.initialize(STAMP)
    assert store.read_stamp() is None


def test_require_answers_the_standing_stamp(store: Store) -> None:
    store.initialize(STAMP)
    assert store.require(STAMP) == STAMP
    assert store.require(UNBOUND) == STAMP


@pytest.mark.parametrize(
    ("other", "remedy"),
    [
        (Stamp(2, "winnow-1", "c" * 32, "a" * 32), "version"),
        (Stamp(1, "winnow-2", "c" * 32, "a" * 32), "version"),
        (Stamp(1, "winnow-1", "d" * 32, "a" * 32), "CLEANROOM_INDEX_KEY"),
        (Stamp(1, "winnow-1", "c" * 32, "b" * 32), r"index\.id"),
    ],
)
def test_an_index_of_another_make_is_refused(embedded_store: Store, other: Stamp, remedy: str) -> None:
    embedded_store.initialize(STAMP)
    with pytest.raises(StoreMismatchError, match=remedy):
        embedded_store.require(other)


def test_an_index_of_another_key_is_not_begun_again(embedded_store: Store) -> None:
    embedded_store.initialize(STAMP)
    with pytest.raises(StoreMismatchError, match="key_check"):
        embedded_store.initialize(Stamp(1, "winnow-1", "d" * 32, "e" * 32))
    assert embedded_store.read_stamp() == STAMP


def refused(store: Store) -> str:
    with pytest.raises(StoreUnavailableError) as caught:
        store.ping()
    assert store.address in str(caught.value)
    assert isinstance(caught.value, RefusalError)
    return str(caught.value)


def test_a_store_that_is_not_there_is_refused(home: Path) -> None:
    with open_store(f"unix://:s3cret@{home}/none.sock", home) as store:
        message = refused(store)
    assert "cannot be reached" in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "loading"),
        (b"-MISCONF Errors writing to the AOF file: No space left on device\r\n", "No space left"),
        (b"-ERR unknown command 'PING', with args beginning with: 'hidden'\r\n", "unknown command"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answered with an error"),
        (b"$notanumber\r\n", "answered with an error"),
    ],
)
def test_a_bad_answer_is_refused(home: Path, reply: bytes, complaint: str) -> None:
    with answering(reply) as url, open_store(url, home) as store:
        message = refused(store)
    assert complaint in message
    assert "hidden" not in message


def test_missing_permissions_are_refused(home: Path, server: Server) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.acl_setuser("guard", enabled=True, passwords=["+s3cret"], keys=["cr:*"], commands=["+get"])
    path = server.url.removeprefix("unix://")
    with open_store(f"unix://guard:s3cret@{path}", home) as store:
        assert store.read_stamp() is None
        assert "to check, grant" in refused(store)
        with pytest.raises(StoreUnavailableError, match="to check, grant"):
            store.initialize(STAMP)
    with open_store(f"unix://guard:wr0ng@{path}", home) as store:
        message = refused(store)
    assert "user and password" in message
    assert "wr0ng" not in message


def test_a_server_that_wants_a_password_is_refused(home: Path, redis_url: str) -> None:
    assert redis_url
    with serving("--requirepass", "s3cret") as server, open_store(server.url, home) as store:
        assert "user and password" in refused(store)


def test_a_read_only_store_is_refused(home: Path, server: Server) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.replicaof("127.0.0.1", "1")
    with open_store(server.url, home) as store, pytest.raises(StoreUnavailableError, match="read-only"):
        store.initialize(STAMP)


def test_a_store_out_of_memory_is_refused(home: Path, server: Server) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory", "1")
    with open_store(server.url, home) as store, pytest.raises(StoreUnavailableError, match="out of memory"):  # noqa: SIM117 - the store opens, its use fails
        with store.refusing():
            store.writer.set(b"cr:test", b"")


class Attempts:
    """Counts the commands that a client sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        send: Any = redis.connection.AbstractConnection.send_packed_command

        def counted(connection: Any, command: Any, **options: Any) -> None:  # noqa: ANN401 - redis-py's own signature
            self.count += 1
            send(connection, command, **options)

        monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counted)


def test_a_stopped_server_is_noticed_in_one_attempt(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(server.url, home) as store:
        store.ping()
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            attempts = Attempts(monkeypatch)
            assert "did not answer in time" in refused(store)
            assert attempts.count == 1
            # The connection was given up; a new one is as short.
            assert "did not answer in time" in refused(store)
            assert attempts.count == 2
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        store.ping()


@pytest.mark.parametrize("client", ["reader", "writer"])
def test_the_first_command_after_a_restart_works(home: Path, server: Server, client: str) -> None:
    with open_store(server.url, home) as store:
        connection: redis.Redis = getattr(store, client)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: connection.ping(), range(64)))
        server.end()
        if client == "reader":
            refused(store)
        server.start()
        with store.refusing():
            assert connection.ping()
