"""The supervisor of an embedded server: runs Valkey for one home until none of its clients is left, then ends.

Does not know what the server keeps. Started as `python -m guard.supervisor BINARY HOME` by guard.valkey, detached.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import signal
import socket
import stat
import string
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guard.errors import EmbeddedStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

START_SECONDS = 15.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.25
BACKOFF_SECONDS = 3.0
# sockaddr_un.sun_path has 108 bytes on Linux and 104 on macOS, with a closing zero.
SOCKET_PATH_BYTES = 100
PR_SET_PDEATHSIG = 1
REMEDY = "or name a server in CLEANROOM_REDIS_URL"

# The file is written before the answer leaves, so an acknowledged write survives the death of clients and supervisor;
# `everysec` risks the last second (two on a busy disk) only when the machine dies or the server itself is SIGKILLed.
# `now force`: a server that nobody needs any more may not refuse to stop.
CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 700
databases 1
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
enable-debug-command no
loglevel notice
logfile ""
shutdown-on-sigterm nosave now force
"""


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Where the embedded server of one home keeps its files. `store` is its working directory."""

    store: Path
    socket: Path

    @classmethod
    def of(cls, home: Path) -> ServerFiles:
        """Make the directories (mode 0700); raise EmbeddedStoreError where that cannot be done."""
        try:
            # Resolved: two names of one home are one home.
            store = home.resolve() / "store"
            for directory in (store.parent, store):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = store / "valkey.sock"
            if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
                path = _short_directory(store) / "valkey.sock"
        except (OSError, RuntimeError) as error:
            raise EmbeddedStoreError(unwritable(home, error)) from error
        return cls(store, path)

    @property
    def clients(self) -> Path:
        """Locked shared by each client, exclusively by a supervisor that closes."""
        return self.store / "clients.lock"

    @property
    def supervisor(self) -> Path:
        """Locked by the supervisor."""
        return self.store / "supervisor.lock"

    @property
    def server(self) -> Path:
        """Locked while a server lives: it inherits the lock, so that no second one opens the same data."""
        return self.store / "server.lock"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.store / "valkey.log"


class Supervisor:
    """Runs the server of one home until no client is left."""

    def __init__(self, binary: str, files: ServerFiles) -> None:
        self._binary = binary
        self._files = files

    def run(self, report: int) -> None:
        """Supervise. Writes to the descriptor `report`, once, "started" or what went wrong, and closes it."""
        try:
            supervisor = lock_file(self._files.supervisor, fcntl.LOCK_EX, 0)
            if supervisor is None:  # another one is at work
                return _tell(report, "started")
            lock = self._lock_data()
            server = self._start(lock)
        except (OSError, EmbeddedStoreError) as error:
            return _tell(report, str(error))
        _tell(report, "started")
        alone = self._attend(server, lock)
        # In this order: whoever gets a share of `clients` afterwards finds the other two free.
        for descriptor in (lock, supervisor, alone):
            os.close(descriptor)
        return None

    def _lock_data(self) -> int:
        lock = lock_file(self._files.server, fcntl.LOCK_EX, 1.0)
        if lock is None:
            # A server whose supervisor was killed, on a system that does not tell it so.
            ask(self._files.socket, b"SHUTDOWN NOSAVE")
            lock = lock_file(self._files.server, fcntl.LOCK_EX, STOP_SECONDS)
        if lock is None:
            message = f"an earlier server still holds {self._files.store}; end it by its process id"
            raise EmbeddedStoreError(message)
        return lock

    def _start(self, lock: int) -> subprocess.Popen[bytes]:
        configuration = CONFIGURATION.format(socket=_quoted(self._files.socket))
        (self._files.store / "valkey.conf").write_text(configuration, encoding="ascii")
        with self._files.log.open("wb") as log:
            server = subprocess.Popen(
                [self._binary, "valkey.conf"],
                cwd=self._files.store,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                preexec_fn=_end_with_parent(),  # noqa: PLW1509 - this process has one thread
            )
        if not await_answer(self._files.socket, START_SECONDS, server):
            server.kill()
            server.wait()
            lines = self._files.log.read_text(encoding="utf-8", errors="replace").split("\n")
            message = f"{self._binary} said {' / '.join(line for line in lines[-4:] if line)[-300:]!r}"
            raise EmbeddedStoreError(message)
        return server

    def _attend(self, server: subprocess.Popen[bytes], lock: int) -> int:
        """Wait until nobody is left, stop the server and return the exclusive lock on `clients`."""
        backoff = POLL_SECONDS
        try:
            while (alone := lock_file(self._files.clients, fcntl.LOCK_EX, 0)) is None:
                time.sleep(POLL_SECONDS)
                if server.poll() is None:
                    continue
                # The server died (killed, out of memory): its clients are refused until it runs again.
                time.sleep(backoff)
                backoff = min(2 * backoff, BACKOFF_SECONDS)
                with contextlib.suppress(OSError, EmbeddedStoreError):
                    server = self._start(lock)
        finally:
            _stop(server)
        return alone


def main() -> int:
    """Start a supervisor of BINARY and HOME (the arguments) that outlives this process; 0 once its server answers."""
    binary, home = sys.argv[1:]
    receive, report = os.pipe()
    if os.fork():
        os.close(report)
        with os.fdopen(receive, "r", errors="replace") as answers:
            answer = answers.read() or "its supervisor ended unexpectedly"
        if answer != "started":
            sys.stderr.write(answer)
        return int(answer != "started")
    os.setsid()
    os.umask(0o077)
    os.chdir("/")
    # Whoever started us may wait for the end of its output: keep none of its descriptors.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Supervisor(binary, ServerFiles.of(Path(home))).run(report)
    return 0


def lock_file(path: Path, mode: int, seconds: float) -> int | None:
    """Lock the file at `path`, made if need be; None if others hold it for all of `seconds`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        else:
            return descriptor


def ask(path: Path, command: bytes) -> bytes:
    """The first line that the server answers to an inline command, without its end; empty if it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(0.5)
            connection.connect(os.fspath(path))
            connection.sendall(command + b"\r\n")
            return connection.recv(1024).partition(b"\r\n")[0]
    except OSError:
        return b""


def await_answer(path: Path, seconds: float, server: subprocess.Popen[bytes] | None = None) -> bool:
    """Wait for any answer, at most `seconds` and no longer than `server` lives; say whether there was one."""
    deadline = time.monotonic() + seconds
    while not ask(path, b"PING"):
        if time.monotonic() > deadline or (server is not None and server.poll() is not None):
            return False
        time.sleep(0.01)
    return True


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _tell(report: int, answer: str) -> None:
    os.write(report, answer.encode(errors="replace"))
    os.close(report)


def _end_with_parent() -> Callable[[], None] | None:
    """What a child does first so that it is sent SIGTERM when this process dies: prctl(2), on Linux."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return bind


def _short_directory(store: Path) -> Path:
    """A private directory with a short path, the same for every process that uses `store`."""
    name = hashlib.blake2b(os.fsencode(store), digest_size=8).hexdigest()
    directory = Path(tempfile.gettempdir()) / f"cleanroom-{os.geteuid()}-{name}"
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    # The directory for temporary files is everybody's: another user may have been first.
    private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    if not private:
        message = f"{directory} is not a private directory of this user: remove it"
        raise PermissionError(message)
    return directory


def _quoted(path: Path) -> str:
    """`path` as the configuration file has it: quoted, every unusual byte escaped."""
    plain = frozenset(b"/._-" + string.ascii_letters.encode() + string.digits.encode())
    return '"' + "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in os.fsencode(path)) + '"'


def unwritable(home: Path, error: Exception) -> str:
    """The message of an EmbeddedStoreError where `home` cannot be written."""
    return f"the embedded store cannot be kept in {home} ({error}): make it writable, make room, or set CLEANROOM_HOME"


if __name__ == "__main__":
    sys.exit(main())
