"""A SQLite database's file, private to its user. Knows no table.

The file is never opened here once it exists: closing any descriptor of a file drops all POSIX locks that the process
holds on it, those of SQLite's own connections too; another process would then take the write-ahead log for abandoned
and delete it, and with it every commit that follows (sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_private(path: Path) -> None:
    """Make the file with mode 0600 if there is none; SQLite gives its log the same mode. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return


def keep_private(path: Path) -> None:
    """Take the rights of others from the file, once it has proved to be a database and not a file named by mistake."""
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
