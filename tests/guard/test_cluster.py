"""The index on a real cluster of three nodes, and behind a real sentinel: redis-server on the loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import redis
from samples.code import JAVA, PYTHON, UNRELATED
from samples.indexed import ACME, BETA, KEY, Indexed

from guard import withdrawal
from guard.audit import verify
from guard.errors import RefusalError, StoreEmptyError, StoreMismatchError, StoreUnavailableError
from guard.index import Index
from guard.inventory import statistics
from guard.layout import SHARDS, VERSION, mark
from guard.secret import IndexKey
from guard.store import STAMP_KEY, Store, open_store
from guard.withdrawal import withdraw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from guard.nodes import Question

SECONDS = 30.0
SLOTS = 16_384
pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server on the PATH (apt-get install redis-server)"
)


class Node:
    """A redis-server on a port of the loopback."""

    def __init__(self, directory: Path, port: int, *options: str) -> None:
        self.port = port
        directory.mkdir(exist_ok=True)
        (directory / "redis.conf").touch()
        command = ["redis-server", str(directory / "redis.conf"), *options, "--port", str(port), "--bind", "127.0.0.1"]
        command += ["--dir", str(directory), "--save", ""]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=port, protocol=2, driver_info=None, socket_timeout=5)

    def end(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()


def free_ports(count: int) -> list[int]:
    """Ports whose cluster buses, 10,000 above, can be had too."""
    found: list[int] = []
    with ExitStack() as held:
        for port in range(21_000, 30_000):
            try:
                for each in (port, port + 10_000):
                    held.enter_context(socket.create_server(("127.0.0.1", each)))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    pytest.skip("no free ports on the loopback")


def eventually(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            if true():
                return
        except (redis.RedisError, RefusalError):
            pass
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.05)


@contextmanager
def nodes(*options: tuple[str, ...]) -> Iterator[list[Node]]:
    with tempfile.TemporaryDirectory(prefix="cr-nodes-") as folder, ExitStack() as running:
        started = []
        for number, (port, each) in enumerate(zip(free_ports(len(options)), options, strict=True)):
            node = Node(Path(folder) / str(number), port, *each)
            running.callback(node.end)
            started.append(node)
        for node in started:
            eventually(node.client.ping)
        yield started


@pytest.fixture(scope="module")
def running_cluster() -> Iterator[list[Node]]:
    settings = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--appendonly", "no")
    with nodes(settings, settings, settings) as cluster:
        for number, node in enumerate(cluster):
            first, past = number * SLOTS // 3, (number + 1) * SLOTS // 3
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, past - 1)
            node.client.execute_command("CLUSTER", "MEET", "127.0.0.1", cluster[0].port)
        for node in cluster:
            eventually(lambda node=node: b"cluster_state:ok" in node.client.execute_command("CLUSTER", "INFO"))  # type: ignore[misc]
            eventually(lambda node=node: len(node.client.execute_command("CLUSTER", "SLOTS")) == 3)  # type: ignore[misc]
        yield cluster


@pytest.fixture
def cluster(running_cluster: list[Node]) -> list[Node]:
    for node in running_cluster:
        node.client.flushall()
    return running_cluster


@pytest.fixture
def store(cluster: list[Node], home: Path) -> Iterator[Store]:
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in cluster[:2])
    with open_store(url, home, check_timeout=5) as opened:
        yield opened


@pytest.fixture
def indexed(store: Store, home: Path) -> Indexed:
    indexed = Indexed(store, home)
    indexed.add(ACME, "a.py", PYTHON)
    indexed.add(ACME, "b.java", JAVA, "java")
    indexed.add(BETA, "a.py", PYTHON)
    return indexed


def test_a_cluster_does_what_one_server_does(indexed: Indexed, cluster: list[Node]) -> None:
    assert [node.client.dbsize() > 20 for node in cluster] == [True] * 3  # type: ignore[operator] # no coroutine
    digest = indexed.digester.digest("", PYTHON, "python")
    hits = indexed.index.lookup(digest.fingerprints.names)
    assert set(hits.which.tolist()) == set(range(len(digest.fingerprints)))
    assert (np.diff(hits.which) >= 0).all()
    assert len(set(hits.documents.tolist())) == 2
    assert indexed.check(PYTHON).action == "block"
    assert indexed.check(UNRELATED).action == "allow"
    assert not indexed.add(ACME, "a.py", PYTHON)
    assert indexed.add(ACME, "a.py", UNRELATED)
    assert str(indexed.check(PYTHON).matches[0].owner) == "org:beta"
    assert indexed.index.remove(ACME, "b.java")
    assert indexed.check(JAVA).action == "allow"
    numbers = statistics(indexed.index)
    assert numbers.documents == 2
    assert numbers.memory > 3_000_000
    for mend in (False, True):
        assert verify(indexed.index, mend=mend).sound


@pytest.mark.parametrize("few", [0, 300])
def test_an_owner_is_withdrawn_from_every_node(
    indexed: Indexed, cluster: list[Node], monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(withdrawal, "FEW", few)
    assert withdraw(indexed.index, ACME) == 2
    assert withdraw(indexed.index, BETA) == 1
    assert not [key for node in cluster for key in node.client.scan_iter("cr:*:[pds]*:*")]


def test_damage_is_found_on_every_node(indexed: Indexed, cluster: list[Node]) -> None:
    for node in cluster:
        keys = sorted(node.client.scan_iter("cr:{??}:p0:*"))
        node.client.delete(keys[0])
        node.client.append(keys[1], b"123\x01\x00\xee\xee\xee\x01\x00\x00")
    report = verify(indexed.index)
    assert report.orphan_postings == 3
    assert report.incomplete_documents > 0
    verify(indexed.index, mend=True)
    for owner, path, text, language in ((ACME, "a.py", PYTHON, "python"), (ACME, "b.java", JAVA, "java")):
        indexed.add(owner, path, text, language)
    indexed.add(BETA, "a.py", PYTHON)
    verify(indexed.index, mend=True)
    assert verify(indexed.index).sound


def test_an_index_that_changes_faster_than_it_is_asked_is_refused(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, ask = indexed.index.store, indexed.index.store.ask

    def changing(questions: Sequence[Question]) -> list[Any]:
        answers = ask(questions)
        store.writer.incr(VERSION)
        return answers

    monkeypatch.setattr(store, "ask", changing)
    with pytest.raises(StoreUnavailableError, match="changes faster"):
        indexed.check(PYTHON)


def test_a_cluster_that_has_an_index_keeps_it(store: Store, indexed: Indexed) -> None:
    stamp = indexed.index.stamp()
    assert store.initialize(replace(stamp, index_id="another")).index_id == stamp.index_id


def test_a_cluster_with_remains_of_an_index_is_refused(store: Store, indexed: Indexed) -> None:
    stamp = indexed.index.stamp()
    store.writer.delete(STAMP_KEY)
    with pytest.raises(StoreMismatchError):
        store.initialize(stamp)


def test_scripts_that_a_node_forgot_are_sent_again(indexed: Indexed, cluster: list[Node]) -> None:
    for node in cluster:
        node.client.script_flush()
    assert indexed.check(PYTHON).action == "block"
    for node in cluster:
        node.client.script_flush()
    assert indexed.add(ACME, "c.py", UNRELATED)


def test_an_emptied_node_is_refused(indexed: Indexed, cluster: list[Node]) -> None:
    for node in cluster:
        for key in node.client.scan_iter("cr:{??}:mark"):
            node.client.rename(key, b"away:{" + key[4:6] + b"}")
        with pytest.raises(RefusalError):
            indexed.check(PYTHON)
        for key in node.client.scan_iter("away:*"):
            node.client.rename(key, b"cr:{" + key[6:8] + b"}:mark")
        assert indexed.check(PYTHON).action == "block"
    (main,) = [node for node in cluster if node.client.keys("cr:{main}:stamp")]  # type: ignore[attr-defined]
    for node in cluster:
        if node is not main:
            node.client.flushall()
            with pytest.raises(StoreEmptyError, match="lost its data"):
                indexed.check(PYTHON)
            with pytest.raises(StoreUnavailableError, match="is gone"):
                indexed.add(ACME, "c.py", UNRELATED)
    main.client.flushall()
    with pytest.raises(StoreEmptyError):
        indexed.check(PYTHON)


def test_every_shard_is_marked(indexed: Indexed, cluster: list[Node], tmp_path: Path) -> None:
    marks: dict[bytes, Any] = {}
    for node in cluster:
        marks |= {key: node.client.get(key) for key in node.client.scan_iter("cr:{??}:mark")}
    assert marks == {mark(shard): indexed.index.open().index_id.encode() for shard in range(SHARDS)}
    with pytest.raises(StoreMismatchError, match="CLEANROOM_INDEX_KEY"):
        Index(indexed.store, IndexKey(b"o" * 32), tmp_path / "other").create()
    Index(indexed.store, KEY, tmp_path / "third").create()
    assert indexed.check(PYTHON).action == "block"


def test_a_node_that_is_down_is_refused_and_comes_back(home: Path) -> None:
    settings = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
    with nodes(settings, settings) as (one, other):
        one.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 9_999)
        other.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 10_000, SLOTS - 1)
        one.client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        for node in (one, other):
            eventually(lambda node=node: b"cluster_state:ok" in node.client.execute_command("CLUSTER", "INFO"))  # type: ignore[misc]
            eventually(lambda node=node: len(node.client.execute_command("CLUSTER", "SLOTS")) == 2)  # type: ignore[misc]
        with open_store(f"redis+cluster://127.0.0.1:{one.port}", home, check_timeout=1) as store:
            indexed = Indexed(store, home)
            indexed.add(ACME, "a.py", PYTHON)
            other.end()
            for _ in range(3):
                with pytest.raises(RefusalError):
                    indexed.check(PYTHON)
    with pytest.raises(StoreUnavailableError), open_store(f"redis+cluster://127.0.0.1:{one.port}", home):
        pass


def test_a_failover_behind_sentinels_loses_nothing(home: Path) -> None:
    with nodes((), (), ("--sentinel",)) as (primary, replica, sentinel):
        replica.client.replicaof("127.0.0.1", str(primary.port))
        eventually(lambda: primary.client.info("replication")["connected_slaves"] == 1)  # type: ignore[index]
        eventually(lambda: replica.client.info("replication")["master_link_status"] == "up")  # type: ignore[index]
        watch: Any = sentinel.client
        watch.execute_command("SENTINEL", "MONITOR", "cleanroom", "127.0.0.1", primary.port, 1)
        for name, value in (("down-after-milliseconds", 500), ("failover-timeout", 3000)):
            watch.execute_command("SENTINEL", "SET", "cleanroom", name, value)
        eventually(lambda: len(watch.execute_command("SENTINEL", "REPLICAS", "cleanroom")) == 1)
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/cleanroom"
        with open_store(url, home, check_timeout=2) as store:
            assert store.address == f"{url}/0"
            indexed = Indexed(store, home)
            indexed.add(ACME, "a.py", PYTHON)
            assert indexed.check(PYTHON).action == "block"
            primary.client.wait(1, 5000)
            primary.end()
            with pytest.raises(RefusalError):
                indexed.check(PYTHON)
            eventually(lambda: indexed.check(PYTHON).action == "block")
            assert indexed.add(ACME, "b.java", JAVA, "java")
            assert verify(indexed.index).sound
