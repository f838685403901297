"""When a part that the guard needs is away, nothing is released; when it is back, so is the service."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from guard.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.served import Home, Upstream

    from guard.store import Store

TEXT = "answer_marker = 41 + 1\n"
BACK_SECONDS = 10


@pytest.fixture
def ask(home: Home, upstream: Upstream, reciting: str) -> Iterator[httpx.Client]:
    """A client of a service that answers harmless text as long as it answers."""
    upstream.text = TEXT
    key = home.keys["alder"]
    with httpx.Client(base_url=reciting, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        yield client


def completion(client: httpx.Client, *, stream: bool = False) -> httpx.Response:
    return client.post("/v1/completions", json={"prompt": "# question\n", "stream": stream})


def assert_refused(client: httpx.Client, part: str, code: str) -> None:
    for stream in (False, True):
        refused = completion(client, stream=stream)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == code
        assert "marker" not in refused.text
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert part in ready.text


def assert_back(client: httpx.Client) -> None:
    deadline = time.monotonic() + BACK_SECONDS
    while completion(client).status_code != 200:
        assert time.monotonic() < deadline, "the service did not come back"
        time.sleep(0.1)
    assert completion(client).json()["choices"][0]["text"] == TEXT


@contextmanager
def stopped_store(home: Home) -> Iterator[None]:
    with open_store(None, home.path) as store:
        pid = int(store.writer.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def emptied_store(home: Home) -> Iterator[None]:
    # Renamed away, since what is flushed does not come back.
    with open_store(None, home.path) as store:
        keys = list(store.writer.scan_iter("cr:*", count=10_000))
        _rename(store, [(key, b"away:" + key) for key in keys])
        try:
            yield
        finally:
            _rename(store, [(b"away:" + key, key) for key in keys])


def _rename(store: Store, names: list[tuple[bytes, bytes]]) -> None:
    pipeline = store.writer.pipeline(transaction=True)
    for old, new in names:
        pipeline.rename(old, new)
    pipeline.execute()


@contextmanager
def restamped_store(home: Home) -> Iterator[None]:
    with open_store(None, home.path) as store:
        stamp = store.writer.get("cr:{main}:stamp")
        store.writer.set("cr:{main}:stamp", stamp.replace(b'"schema":2', b'"schema":9'))
        try:
            yield
        finally:
            store.writer.set("cr:{main}:stamp", stamp)


@contextmanager
def locked_ledger(home: Home) -> Iterator[None]:
    with closing(sqlite3.connect(home.path / "cleanroom.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("fault", "part", "code"),
    [
        # Quotas are counted in the same store, and asked about first.
        (stopped_store, "index", "limits_unavailable"),
        (emptied_store, "index", "guard_unavailable"),
        (restamped_store, "index", "guard_unavailable"),
        (locked_ledger, "ledger", "guard_unavailable"),
    ],
    ids=["store stopped", "store empty", "store of another schema", "ledger locked"],
)
def test_nothing_leaves_while_a_part_is_away(
    home: Home, ask: httpx.Client, fault: object, part: str, code: str
) -> None:
    assert completion(ask).json()["choices"][0]["text"] == TEXT
    with fault(home):  # type: ignore[operator]
        assert_refused(ask, part, code)
    assert_back(ask)
