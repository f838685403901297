"""Runs one command and ends it, with all its children, when it ends itself or whoever started it is gone.

Started as a file, `python -I keeper.py COMMAND ...`, in a process group of its own, with a pipe as standard input that
its starter keeps open: however the starter dies, the pipe closes. Imports nothing of the package.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 10.0
LEFTOVER_SECONDS = 1.0


def main() -> None:
    """Run the command of the arguments until it ends or standard input does; then end the whole process group."""
    # Ours is the group's death, not the first signal that it gets.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        # A child inherits what is ignored, and would never hear that it shall end.
        preexec_fn=_hear_signals,  # noqa: PLW1509 - this process has one thread yet
    )
    threading.Thread(target=_end_with_starter, args=(child,), daemon=True).start()
    status = child.wait()
    sys.stderr.write(f"keeper: the command ended with status {status}\n")
    sys.stderr.flush()
    os.killpg(0, signal.SIGTERM)
    time.sleep(LEFTOVER_SECONDS)
    os.killpg(0, signal.SIGKILL)


def _hear_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end_with_starter(child: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGTERM)
    try:
        child.wait(GRACE_SECONDS)
    finally:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
