"""Clients of an embedded store in processes of their own, and what becomes of its server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from guard.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
