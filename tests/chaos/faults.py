"""What can break around a running service, each for the time of a `with`. Knows the service by its home and its pid."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from guard.layout import STAMP
from guard.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.served import Served

AWAY = b"away:"


@contextmanager
def store_of(served: Served) -> Iterator[Any]:
    """A client of the store that may do everything."""
    with open_store(None, served.home.path, check_timeout=30) as store:
        yield store.writer


def _pid(writer: Any) -> int:  # noqa: ANN401 - redis-py's clients have no common class
    return int(writer.info("server")["process_id"])


@contextmanager
def store_killed(served: Served) -> Iterator[None]:
    with store_of(served) as writer:
        os.kill(_pid(writer), signal.SIGKILL)
    yield


@contextmanager
def store_stopped(served: Served) -> Iterator[None]:
    with store_of(served) as writer:
        pid = _pid(writer)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def store_read_only(served: Served) -> Iterator[None]:
    with store_of(served) as writer:
        writer.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            writer.replicaof("NO", "ONE")


@contextmanager
def store_out_of_memory(served: Served) -> Iterator[None]:
    with store_of(served) as writer:
        writer.config_set("maxmemory", 1)
        try:
            yield
        finally:
            writer.config_set("maxmemory", 0)


@contextmanager
def store_empty(served: Served) -> Iterator[None]:
    with store_of(served) as writer:
        keys = list(writer.scan_iter("cr:*", count=10_000))
        _rename(writer, [(key, AWAY + key) for key in keys])
        try:
            yield
        finally:
            _rename(writer, [(AWAY + key, key) for key in keys])


def _rename(writer: Any, names: list[tuple[bytes, bytes]]) -> None:  # noqa: ANN401 - as above
    pipeline = writer.pipeline(transaction=True)
    for old, new in names:
        pipeline.rename(old, new)
    pipeline.execute()


@contextmanager
def _restamped(served: Served, old: bytes, new: bytes) -> Iterator[None]:
    with store_of(served) as writer:
        stamp = writer.get(STAMP)
        assert old in stamp
        writer.set(STAMP, stamp.replace(old, new))
        try:
            yield
        finally:
            writer.set(STAMP, stamp)


@contextmanager
def store_of_another_schema(served: Served) -> Iterator[None]:
    with _restamped(served, b'"schema":2', b'"schema":9'):
        yield


@contextmanager
def store_of_another_key(served: Served) -> Iterator[None]:
    with _restamped(served, b'"key_check":"', b'"key_check":"0'):
        yield


@contextmanager
def store_of_garbage(served: Served) -> Iterator[None]:
    """Every bucket holds something else."""
    with store_of(served) as writer:
        keys = [key for key in writer.scan_iter("cr:*", count=10_000, _type="string") if key != STAMP]
        _rename(writer, [(key, AWAY + key) for key in keys])
        writer.mset(dict.fromkeys(keys, b"\xff garbage \x00"))
        try:
            yield
        finally:
            _rename(writer, [(AWAY + key, key) for key in keys])


@contextmanager
def ledger_locked(served: Served) -> Iterator[None]:
    with closing(sqlite3.connect(served.home.path / "cleanroom.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@contextmanager
def ledger_full(served: Served) -> Iterator[None]:
    """The service may make no file longer: what a full disk or a quota does."""
    before = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(served.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def _engine(served: Served, behaviour: str) -> Iterator[None]:
    served.upstream.behaviour = behaviour
    try:
        yield
    finally:
        served.upstream.behaviour = "recites"


@contextmanager
def engine_dead(served: Served) -> Iterator[None]:
    with _engine(served, "dies"):
        yield


@contextmanager
def engine_hanging(served: Served) -> Iterator[None]:
    with _engine(served, "hangs"):
        yield


@contextmanager
def engine_garbage(served: Served) -> Iterator[None]:
    with _engine(served, "garbage"):
        yield
