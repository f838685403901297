"""What a measurement has found so far, in a file a stage, so that an interrupted run goes on where it stopped.

Generations may hold training data: the files are for this user only. Knows no model and no measure.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from training.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Journal:
    """Rows of JSON in the order in which they were found, behind a first line that tells the run from others."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        """Begin the file, or go on with it; a last line that was cut off is taken away.

        Raises DestinationError where it cannot be written, or is of another run.
        """
        self._path = path
        self.rows: list[dict[str, Any]] = []
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                os.fchmod(file.fileno(), 0o600)
                content = file.read()
                whole = content.rfind(b"\n") + 1
                file.truncate(whole)
                if not whole:
                    file.seek(0)
                    file.write(json.dumps(run).encode() + b"\n")
        except OSError as error:
            raise DestinationError(_unwritable(path, error)) from error
        if whole:
            self._resume(content[:whole], json.loads(json.dumps(run)))

    def _resume(self, content: bytes, run: dict[str, Any]) -> None:
        try:
            first, *self.rows = map(json.loads, content.splitlines())
            differing = sorted(name for name in {*first, *run} if first.get(name) != run.get(name))
        except (ValueError, TypeError, AttributeError) as error:
            message = f"{self._path} is no measurement's: name another folder with --out"
            raise DestinationError(message) from error
        if differing:
            message = (
                f"{self._path} is of another measurement, which differs in {', '.join(differing)}: ask for the same, "
                "or name another folder with --out"
            )
            raise DestinationError(message)

    def append(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows, durably. Raises DestinationError when the disk is full."""
        some = list(rows)
        try:
            with self._path.open("ab") as file:
                file.write("".join(json.dumps(row) + "\n" for row in some).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DestinationError(_unwritable(self._path, error)) from error
        self.rows += some


def _unwritable(path: Path, error: OSError) -> str:
    return f"{path} cannot be written ({error.strerror}): free space, or name another folder with --out"
