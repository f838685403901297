"""A crew: this process and others that do pieces of work together. Knows nothing of what the work is.

The others are spawned, not forked, since this one holds connections and locks. That takes them more than a second, and
until they are ready this one works alone: a crew finishes no later than one process would.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from guard.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from contextlib import AbstractContextManager
    from multiprocessing.connection import Connection

__all__ = ["Trade", "Worker", "work_together"]

AHEAD = 2
"""Pieces that a helper is given at a time: one to do, and one to go on with."""
FAREWELL = 30.0
"""Seconds that a helper gets to finish what it has begun when the work is broken off."""

Piece = TypeVar("Piece")
PieceIn = TypeVar("PieceIn", contravariant=True)  # noqa: PLC0105 - what a worker is given
Result = TypeVar("Result")


class Worker(Protocol[PieceIn, Result]):
    """One who works through pieces, and may still be busy with earlier ones when it is given the next."""

    def take(self, piece: PieceIn) -> list[Result]:
        """Do a piece; answer what has been finished by now, of this one and of earlier ones."""

    def rest(self) -> list[Result]:
        """Answer what was still under way, once it is finished."""


class Trade(Protocol[PieceIn, Result]):
    """How a worker is made in another process, to which the trade itself is sent."""

    def practised(self) -> AbstractContextManager[Worker[PieceIn, Result]]:
        """A worker with all that it needs. Left because of an error, it begins nothing more."""


def work_together(
    trade: Trade[Piece, Result], worker: Worker[Piece, Result], pieces: Iterable[Piece], helpers: int, *, what: str
) -> Generator[list[Result]]:
    """Have all pieces done by `worker` here and by so many helpers elsewhere; yields results as they come.

    Closed early, it leaves nothing half-done: helpers finish the piece that they have begun. `what` the work is about
    stands in the message of the error.

    Raises:
        IngestError: a helper died.
        Exception: what a worker raised, here or elsewhere.
    """
    waiting = deque(pieces)
    with _hired(trade, helpers, what) as crew:
        while waiting:
            crew.hand_out(waiting)
            if waiting:
                yield worker.take(waiting.popleft())
            yield from crew.results()
        crew.dismiss()
        yield worker.rest()
        while crew.busy:
            yield from crew.results(block=True)


class _Helper:
    """Another process. `given`: pieces that it has not yet answered for; None until it is ready."""

    def __init__(self, trade: Trade[Piece, Result]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_help, args=(trade, theirs), daemon=True)
        self.given: int | None = None
        with _undisturbed():
            self.process.start()
        theirs.close()


class _Crew(Generic[Piece, Result]):
    def __init__(self, helpers: list[_Helper], what: str) -> None:
        self._helpers = {helper.connection: helper for helper in helpers}
        self._what = what

    @property
    def busy(self) -> bool:
        return bool(self._helpers)

    def hand_out(self, waiting: deque[Piece]) -> None:
        """Give every helper that is ready what it can do soon."""
        for helper in self._helpers.values():
            while waiting and helper.given is not None and helper.given < AHEAD:
                self._send(helper, waiting.popleft())
                helper.given += 1

    def dismiss(self) -> None:
        """Let go who is not ready yet, and tell the others that there is no more."""
        for helper in list(self._helpers.values()):
            if helper.given is None:
                self._leave(helper, finished=False)
            else:
                self._send(helper, None)

    def results(self, *, block: bool = False) -> Iterator[list[Result]]:
        """What helpers have answered; with `block`, once there is an answer."""
        for connection in wait(list(self._helpers), None if block else 0):
            helper = self._helpers[connection]  # type: ignore[index] # `wait` gives what it was given
            try:
                answer = helper.connection.recv()
            except (EOFError, OSError) as error:
                raise IngestError(self._death()) from error
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                helper.given = 0
            elif isinstance(answer, tuple):
                self._leave(helper, finished=True)
                yield answer[0]
            else:
                helper.given = (helper.given or 0) - 1
                yield answer

    def close(self) -> None:
        for helper in self._helpers.values():
            helper.connection.close()
        for helper in list(self._helpers.values()):
            self._leave(helper, finished=helper.given is not None)

    def _send(self, helper: _Helper, piece: Piece | None) -> None:
        try:
            helper.connection.send(piece)
        except OSError as error:
            raise IngestError(self._death()) from error

    def _leave(self, helper: _Helper, *, finished: bool) -> None:
        del self._helpers[helper.connection]
        helper.connection.close()
        if finished:
            helper.process.join(FAREWELL)
        helper.process.kill()
        helper.process.join()
        helper.process.close()

    def _death(self) -> str:
        return (
            f"a process that worked on {self._what} died (killed, or out of memory): run the command again, with fewer "
            "--jobs if memory is short; what was done stays"
        )


@contextmanager
def _hired(trade: Trade[Piece, Result], helpers: int, what: str) -> Iterator[_Crew[Piece, Result]]:
    crew: _Crew[Piece, Result] = _Crew([_Helper(trade) for _ in range(helpers)], what)
    try:
        yield crew
    finally:
        crew.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What is started here is not interrupted by Ctrl-C, which reaches every process of a terminal: its parent is."""
    resource_tracker.ensure_running()  # its start would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _help(trade: Trade[Piece, Result], connection: Connection) -> None:
    """The life of a helper: None once it is ready, the results of each piece, and what was left of them in a tuple."""
    with suppress(EOFError, OSError), connection:
        try:
            with trade.practised() as worker:
                connection.send(None)
                while (piece := connection.recv()) is not None:
                    connection.send(worker.take(piece))
                connection.send((worker.rest(),))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise  # whom this was for is gone
        except Exception as error:  # noqa: BLE001 - it is raised again over there
            connection.send(error)
