"""A real Emacs with Eglot: keys go in by its terminal, and what stands in its buffer is asked by emacsclient."""

from __future__ import annotations

import base64
import subprocess
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 20.0
META, FIND_FILE = "\x1b", "\x18\x06"
# Native compilation of Emacs's own packages would take minutes of a first start.
EARLY = "(setq native-comp-deferred-compilation nil inhibit-automatic-native-compilation t)"
EGLOT = '(progn (require \'package) (package-initialize) (princ (if (locate-library "eglot") "yes" "no")))'


def has_eglot(program: str) -> bool:
    """Whether this Emacs has Eglot: from 29 on by itself, before as a package."""
    command = [program, "--batch", "-q", "--eval", EGLOT]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.endswith("yes")


class Emacs:
    """One Emacs of a user whose init file says `init`, in a terminal. Leaving the context ends it."""

    def __init__(self, program: str, home: Path, init: str, environment: dict[str, str]) -> None:
        settings = home / ".emacs.d"
        settings.mkdir(parents=True)
        serve = f'(setq server-socket-dir "{home}" server-name "socket")\n(server-start)\n'
        (settings / "early-init.el").write_text(EARLY)
        (settings / "init.el").write_text(f"{serve}{init}\n")
        home.chmod(0o700)
        self._socket = home / "socket"
        self._environment = {**environment, "TERM": "xterm", "SHELL": "/bin/sh"}
        self._process = subprocess.Popen(
            ["script", "--quiet", "--command", f"stty cols 100 rows 30; exec {program} -nw", "/dev/null"],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        self.until(self._socket.exists, "its socket")
        return self

    def __exit__(self, *_: object) -> None:
        self.evaluate("(let (kill-emacs-query-functions) (run-at-time 0 nil #'kill-emacs))")
        assert self._process.stdin is not None
        self._process.wait(PATIENCE)
        self._process.stdin.close()

    def evaluate(self, expression: str) -> str:
        """The value of an expression in the buffer that is shown, as Emacs prints it."""
        here = f"(with-current-buffer (window-buffer) {expression})"
        command = ["emacsclient", "-s", self._socket, "--eval", here]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def visit(self, path: Path) -> None:
        """Open a file, with the cursor at its end, and wait until Eglot manages it."""
        self.press(f"{FIND_FILE}{path}\r{META}>")
        self.until(
            lambda: self.evaluate(f'(and (equal (buffer-name) "{path.name}") (eglot-current-server) t)') == "t",
            f"a server for {path.name}",
        )

    def press(self, keys: str) -> None:
        """Press keys, as a terminal sends them."""
        assert self._process.stdin is not None
        self._process.stdin.write(keys.encode())
        self._process.stdin.flush()

    @property
    def text(self) -> str:
        """What stands in the buffer."""
        encoded = self.evaluate("(base64-encode-string (encode-coding-string (buffer-string) 'utf-8) t)")
        return base64.b64decode(encoded.strip('"')).decode()

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert self._process.poll() is None, f"Emacs has ended before {what}"
            assert time.monotonic() < deadline, f"{what} has not come"
            time.sleep(0.05)
