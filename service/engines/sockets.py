"""Owns where model servers of our own listen: unix sockets that no other user can reach. Knows no server."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Longest path of a socket: 104 bytes on macOS, 108 on Linux, with the closing zero.
SOCKET_PATH_LIMIT = 103


def private_socket(name: str) -> Path:
    """The path of a socket to be made, called `name`, in a new directory of mode 0700; short enough for a socket.

    Whoever asks removes the directory in the end.
    """
    directory = Path(tempfile.mkdtemp(prefix="cleanroom-"))
    if len(os.fsencode(directory / name)) > SOCKET_PATH_LIMIT:
        directory.rmdir()
        directory = Path(tempfile.mkdtemp(prefix="cleanroom-", dir="/tmp"))
    return directory / name
