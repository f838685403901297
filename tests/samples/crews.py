"""A trade for tests of guard.crew, here because another process must find it by its name."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60.0


@dataclass
class Doubler:
    """Doubles numbers, one behind: it answers for a piece when it is given the next. 13 is more than it can do."""

    folder: Path
    late: list[tuple[int, int]] = field(default_factory=list)

    def take(self, piece: int) -> list[tuple[int, int]]:
        """The process and the double of the piece before."""
        if piece == 13:
            message = "thirteen"
            raise ValueError(message)
        time.sleep(0.001)
        (self.folder / f"done-{piece}").touch()
        done, self.late = self.late, [(os.getpid(), 2 * piece)]
        return done

    def rest(self) -> list[tuple[int, int]]:
        """The process and the double of the last piece."""
        return self.late


@dataclass
class Waiter(Doubler):
    """One who begins when another process has done something."""

    def take(self, piece: int) -> list[tuple[int, int]]:
        """As a Doubler."""
        end = time.monotonic() + PATIENCE
        while not (self.folder / "ready").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        return super().take(piece)


@dataclass(frozen=True)
class Doubling:
    """Making a Doubler, which may take `seconds`."""

    folder: Path
    seconds: float = 0.0

    @contextmanager
    def practised(self) -> Iterator[Doubler]:
        """A Doubler who has said that it is there."""
        time.sleep(self.seconds)
        (self.folder / "ready").touch()
        yield Doubler(self.folder)
