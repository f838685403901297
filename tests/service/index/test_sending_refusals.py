from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from samples.indexed import ACME, KEY
from samples.sending import sent

from guard.secret import IndexKey
from guard.store import STAMP_KEY
from service.errors import IndexMismatchError, RemoteError, SetupError
from service.remote import RemoteIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Shelf, Wire


def test_another_index_key_is_refused_before_anything_is_sent(shelf: Shelf, wire: Wire, tree: Path) -> None:
    other = IndexKey(bytes(32))
    with pytest.raises(IndexMismatchError, match="another index key"):
        sent(shelf, wire.url, tree, key=other)
    assert wire.sent.count(b"HTTP/1.1\r\n") == 1
    assert wire.sent.startswith(b"GET /v1/index/stamp")
    assert other.check.encode() not in wire.sent
    assert shelf.indexed.index.paths(ACME) == {}


def test_another_scheme_is_refused_before_anything_is_sent(
    shelf: Shelf, wire: Wire, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.remote.SCHEME", "lexer0")
    with pytest.raises(IndexMismatchError, match="lexer0"):
        sent(shelf, wire.url, tree)
    assert b"PUT " not in wire.sent


def test_a_connection_that_breaks_is_tried_again(shelf: Shelf, tapped: Callable[..., Wire], tree: Path) -> None:
    with tapped(failures=2) as wire:
        assert sent(shelf, wire.url, tree).added == 3
    with tapped(failures=99) as wire, pytest.raises(RemoteError, match="cannot be reached"):
        sent(shelf, wire.url, tree)


def test_an_index_that_is_away_for_a_moment_is_waited_for(shelf: Shelf, wire: Wire) -> None:
    writer: Any = shelf.store.writer
    writer.rename(STAMP_KEY, b"away")
    back = threading.Timer(0.2, lambda: writer.rename(b"away", STAMP_KEY))
    away = RemoteIndex(wire.url, shelf.keys["acme"], attempts=2, pause=0.0)
    with away, pytest.raises(RemoteError, match=r"503: .*retry later"):
        away.require(KEY)
    assert wire.sent.count(b"GET /v1/index/stamp") == 2
    back.start()
    with RemoteIndex(wire.url, shelf.keys["acme"], pause=0.1) as remote:
        assert remote.require(KEY).org == "acme"
    back.join()


def test_more_than_the_server_takes_is_named(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("".join(f"value_{i} = fetch(row[{i}], 'k{i}')\n" for i in range(9000)))
    with pytest.raises(RemoteError, match=r"large\.py .* CLEANROOM_MAX_INDEX_BYTES"):
        sent(shelf, shelf.url, tmp_path / "large.py")


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://index.example", "https://"),
        ("http://10.0.0.1:8080", "https://"),
        ("ftp://127.0.0.1", "expected https://"),
        ("127.0.0.1:8080", "expected https://"),
        ("https://user:hunter2@index.example", "without user"),
        ("https://index.example:port", "expected https://"),
    ],
)
def test_a_key_is_not_sent_in_clear_to_others(url: str, complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint) as refused:
        RemoteIndex(url, "cr_" + "a" * 12 + "_" + "b" * 43)
    assert "hunter2" not in str(refused.value)


def test_a_key_that_is_none_is_not_repeated(shelf: Shelf) -> None:
    for secret in ("", "hunter2", shelf.keys["acme"] + "\r\nX-Other: 1"):
        with pytest.raises(SetupError, match="no API key") as refused:
            RemoteIndex(shelf.url, secret)
        assert secret == "" or secret not in str(refused.value)


def test_a_server_of_another_kind_is_named(shelf: Shelf) -> None:
    with RemoteIndex(f"{shelf.url}/elsewhere", shelf.keys["acme"]) as remote, pytest.raises(RemoteError, match="404"):
        remote.require(KEY)
    with RemoteIndex(f"{shelf.url}/v1/", shelf.keys["acme"]) as remote:
        assert remote.require(KEY).org == "acme"
