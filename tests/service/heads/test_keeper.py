"""Heads of a real ledger go to a real file, socket and HTTP server."""

from __future__ import annotations

import socket
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.ledger_records import record

from guard.ledger import Ledger
from guard.ledger_schema import entry_table
from service.errors import SetupError
from service.heads.keeper import HeadKeeper, kept
from service.heads.opening import exported_heads
from service.heads.outlets import outlets_of
from service.heads.statement import read_heads, signing_key
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path / 'cleanroom.db'}") as ledger:
        yield ledger


def keeper_of(ledger: Ledger, home: Path, where: str, *, entries: int = 3, seconds: float = 3600) -> HeadKeeper:
    return HeadKeeper(ledger, signing_key(home / "key.pem"), outlets_of(where), entries=entries, seconds=seconds)


def read(home: Path, name: str = "heads") -> list[int]:
    lines = (home / name).read_text().splitlines() if (home / name).exists() else []
    return [head.entries for head in read_heads(lines, {signing_key(home / "key.pem").public})]


def test_a_head_is_exported_every_so_many_entries(ledger: Ledger, tmp_path: Path) -> None:
    keeper = keeper_of(ledger, tmp_path, f"file://{tmp_path}/heads")
    keeper.look()
    assert keeper.age == 0
    for number in range(7):
        ledger.append(record(number))
        keeper.look()
    assert read(tmp_path) == [3, 6]
    assert keeper.age > 0
    keeper.look(last=True)
    assert read(tmp_path) == [3, 6, 7]
    assert keeper.age == 0
    assert [signed.head.entries for signed in ledger.book.last()] == [7]
    keeper.look(last=True)
    assert read(tmp_path) == [3, 6, 7]


def test_a_head_is_exported_after_so_many_seconds_and_at_the_end(ledger: Ledger, tmp_path: Path) -> None:
    keeper = keeper_of(ledger, tmp_path, f"file://{tmp_path}/heads", entries=100, seconds=0.01)
    done = threading.Event()
    with kept(keeper):
        ledger.append(record(1))
        while not read(tmp_path):
            done.wait(0.01)
        ledger.append(record(2))
    assert read(tmp_path)[-1] == 2


def test_a_place_that_is_away_loses_no_head(ledger: Ledger, tmp_path: Path) -> None:
    away = tmp_path / "away"
    where = f"file://{tmp_path}/here, file://{away}/heads"
    keeper = keeper_of(ledger, tmp_path, where)
    ledger.append(record(1))
    keeper.look(last=True)
    ledger.append(record(2))
    keeper.look(last=True)
    assert keeper.age > 0
    away.mkdir()
    keeper.look(last=True)
    assert keeper.age == 0
    assert read(tmp_path, "away/heads") == [2]
    assert read(tmp_path, "here") == [1, 2]


def test_heads_of_a_process_that_is_gone_are_exported_by_the_next(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cleanroom.db'}"
    with Ledger(url) as first:
        first.append(record(1))
        keeper_of(first, tmp_path, f"file://{tmp_path}/missing/heads").look(last=True)
    with Ledger(url) as second:
        keeper_of(second, tmp_path, f"file://{tmp_path}/heads").look()
    assert read(tmp_path) == [1]


def test_syslog_gets_heads(ledger: Ledger, tmp_path: Path) -> None:
    with (
        closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as unix,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp,
        closing(socket.create_server(("127.0.0.1", 0))) as tcp,
    ):
        unix.bind(str(tmp_path / "log"))
        udp.bind(("127.0.0.1", 0))
        places = f"syslog://{tmp_path}/log,syslog://127.0.0.1:{udp.getsockname()[1]}"
        keeper = keeper_of(ledger, tmp_path, f"{places},syslog+tcp://127.0.0.1:{tcp.getsockname()[1]}")
        ledger.append(record(1))
        keeper.look(last=True)
        with closing(tcp.accept()[0]) as accepted:
            lines = [one.recv(4096).decode().rstrip("\0\n") for one in (unix, udp, accepted)]
    assert all(line.startswith("<86>cleanroom-ledger: {") for line in lines)
    assert read_heads(lines, {signing_key(tmp_path / "key.pem").public}) == list(ledger.heads()) * 3


def test_a_webhook_gets_heads_once_it_takes_them(ledger: Ledger, tmp_path: Path) -> None:
    answers, bodies = [503, 302, 204], []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(answers.pop(0))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        keeper = keeper_of(ledger, tmp_path, f"http://127.0.0.1:{server.server_port}/hook?token=s3cret")
        ledger.append(record(1))
        for aged in (True, True, False):
            keeper.look(last=True)
            assert (keeper.age > 0) == aged
        server.shutdown()
    assert len(bodies) == 3
    assert read_heads(bodies, {signing_key(tmp_path / "key.pem").public}) == list(ledger.heads()) * 3


@pytest.mark.parametrize(
    "place", ["nonsense", "file://host/x", "ftp://h/x", "https://", "syslog://", "http://h:port/x"]
)
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(SetupError, match="CLEANROOM_LEDGER_HEADS"):
        outlets_of(place)


def test_a_service_without_a_place_signs_and_says_that_nothing_is_exported(ledger: Ledger, tmp_path: Path) -> None:
    with exported_heads(load_settings(home=tmp_path), ledger) as keeper:
        assert keeper is None
        ledger.append(record(1))
    assert [signed.head.entries for signed in ledger.book.waiting()] == [1]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chains of nine entries, heads of which were exported every three."""
    home = tmp_path_factory.mktemp("exported")
    for start in (0, 100):
        with Ledger(f"sqlite:///{home / 'cleanroom.db'}") as ledger:
            keeper = keeper_of(ledger, home, f"file://{home}/heads")
            for number in range(start, start + 9):
                ledger.append(record(number))
                keeper.look()
    return home


_COPIED = ", ".join({column.name for column in entry_table.columns} - {"seq", "number", "decision_id"})
INSERT = (
    f"INSERT INTO ledger_entries (seq, number, decision_id, {_COPIED})"  # noqa: S608 - columns of the schema
    f" SELECT 999, number - 1000, 'forged', {_COPIED} FROM ledger_entries WHERE seq = {{0}}"
)
DELETE = "DELETE FROM ledger_entries WHERE seq = {0}"
TAMPERING = {
    "edit": ["UPDATE ledger_entries SET model = model || 'x' WHERE seq = {0}"],
    "delete": [DELETE],
    "insert": [
        "UPDATE ledger_entries SET number = number + 1000 WHERE seq = {0}",
        INSERT,
    ],
    "reorder": [
        "UPDATE ledger_entries SET number = -number WHERE seq IN ({0}, {1})",
        "UPDATE ledger_entries SET number = CASE seq WHEN {0} THEN {1} ELSE {0} END - {2} WHERE seq IN ({0}, {1})",
    ],
    "cut off": ["DELETE FROM ledger_entries WHERE seq >= {0} AND seq <= {2} + 9"],
    "cut off a chain": ["DELETE FROM ledger_entries WHERE seq > {2} AND seq <= {2} + 9"],
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(how=st.sampled_from(sorted(TAMPERING)), chain=st.integers(0, 1), place=st.integers(1, 9), step=st.integers(1, 8))
def test_whatever_is_done_below_an_exported_head_is_found(
    exported: Path, tmp_path: Path, how: str, chain: int, place: int, step: int
) -> None:
    offset = 9 * chain
    values = offset + place, offset + (place - 1 + step) % 9 + 1, offset
    with closing(sqlite3.connect(exported / "cleanroom.db")) as sound:
        (tmp_path / "tampered.db").unlink(missing_ok=True)
        with closing(sqlite3.connect(tmp_path / "tampered.db")) as tampered:
            sound.backup(tampered)
            with tampered:
                for statement in TAMPERING[how]:
                    tampered.execute(statement.format(*values))
    lines = (exported / "heads").read_text().splitlines()
    heads = read_heads(lines, {signing_key(exported / "key.pem").public})
    with Ledger(f"sqlite:///{tmp_path / 'tampered.db'}") as ledger:
        (broken,) = ledger.verify(heads).breaks
    first = {"reorder": min(values[:2]) - offset, "cut off a chain": 1}.get(how, place)
    assert (broken.writer, broken.number) == (heads[3 * chain].writer, first)
