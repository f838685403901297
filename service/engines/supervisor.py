"""Keeps a server process alive: starts it, watches it, starts it again when it dies or hangs, and ends it with us.

Knows neither what the server does nor how it is asked: whether it answers is asked of a function.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import structlog

from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

KEEPER = Path(__file__).with_name("keeper.py")
POLL_SECONDS = 0.25
# Seconds between two looks at a server that works, and for how many of them in a row it may fail to answer.
WATCH_SECONDS = 2.0
MISSES = 10
BACKOFF_SECONDS = (0.5, 30.0)
# A server that lived for so long has started well: its next death is the first again.
STEADY_SECONDS = 60.0
STOP_SECONDS = 15.0
# Of the log, what a message repeats.
LINES_SHOWN = 3
CHARACTERS_SHOWN = 400

log = structlog.get_logger(__name__)


class Supervisor:
    """One command that must always run. `start` and `close` belong to one event loop."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log_file: Path,
        socket: Path,
        answers: Callable[[], Awaitable[bool]],
        start_seconds: float,
    ) -> None:
        """`answers` says whether the server can be asked now; it gets `start_seconds` for that after each start.

        What the command prints goes to `log_file`, emptied here and then appended to; `socket` is removed before each
        start, since a killed server leaves it behind.
        """
        self._command = tuple(command)
        self._environment = dict(environment)
        self._log_file = log_file
        self._socket = socket
        self._answers = answers
        self._start_seconds = start_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the command and wait until it answers. Raises SetupError with its last words where it does not."""
        self._log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open_log("wb").close()
        try:
            process = await self._launch()
            await self._require_answer(process)
        except BaseException:
            await self._end()
            raise
        self._watch = asyncio.create_task(self._keep_alive(process))

    async def close(self) -> None:
        """End the command and all of its children. Safe to call twice."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        await self._end()

    async def _launch(self) -> asyncio.subprocess.Process:
        self._socket.unlink(missing_ok=True)
        with self._open_log("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(KEEPER),
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
            )
        return self._process

    def _open_log(self, mode: str) -> IO[bytes]:
        return open(self._log_file, mode, opener=lambda path, flags: os.open(path, flags, 0o600))

    async def _answering(self, process: asyncio.subprocess.Process) -> bool:
        """Wait until the server answers; False when it ends before, or takes too long."""
        deadline = time.monotonic() + self._start_seconds
        while process.returncode is None and time.monotonic() < deadline:
            if await self._answers():
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _require_answer(self, process: asyncio.subprocess.Process) -> None:
        if await self._answering(process):
            return
        ended = process.returncode is not None
        what = "ended before it served" if ended else f"did not serve in {self._start_seconds:g} s"
        text = self._log_file.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("keeper:")]
        words = " / ".join(lines[-LINES_SHOWN:])[-CHARACTERS_SHOWN:]
        message = f"{Path(self._command[0]).name} {what}; {self._log_file} ends with {words!r}"
        raise SetupError(message)

    async def _keep_alive(self, process: asyncio.subprocess.Process) -> None:
        """Start the command anew, for ever, when it ends or answers no more."""
        backoff, longest = BACKOFF_SECONDS
        while True:
            began = time.monotonic()
            await self._until_lost(process)
            await self._end()
            if time.monotonic() - began > STEADY_SECONDS:
                backoff = BACKOFF_SECONDS[0]
            log.warning("engine_lost", command=Path(self._command[0]).name, log=str(self._log_file), retry_s=backoff)
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, longest)
            try:
                process = await self._launch()
            except OSError as error:
                log.warning("engine_not_started", error=type(error).__name__)
                continue
            if await self._answering(process):
                log.info("engine_back", command=Path(self._command[0]).name)

    async def _until_lost(self, process: asyncio.subprocess.Process) -> None:
        misses = 0
        while process.returncode is None and misses < MISSES:
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`, which before Python 3.12 may take a cancellation for the process's end.
                async with asyncio.timeout(WATCH_SECONDS):
                    await process.wait()
            misses = 0 if await self._answers() else misses + 1

    async def _end(self) -> None:
        """End the whole process group: first asked, by closing the keeper's input, then killed."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            # Also when the keeper is gone: somebody may have killed it alone.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
