from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.engines import supervisor as module
from service.engines.supervisor import KEEPER, Supervisor
from service.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

# Writes its process id into a file, which stands for a server that answers, and lives with a child that is hard to end.
SERVER = """
import os, signal, subprocess, sys, time
from pathlib import Path
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
process = subprocess.Popen([sys.executable, "-c", child])
print("serving", flush=True)
Path(sys.argv[1]).write_text(f"{os.getpid()} {process.pid}")
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.02)


def supervised(folder: Path, *command: str, seconds: float = 20) -> Supervisor:
    pids = folder / "pids"

    async def answers() -> bool:
        return pids.exists() and bool(pids.read_text()) and alive(int(pids.read_text().split()[0]))

    return Supervisor(
        command or [sys.executable, "-c", SERVER, str(pids)],
        environment=dict(os.environ),
        log_file=folder / "engine" / "server.log",
        socket=folder / "server.sock",
        answers=answers,
        start_seconds=seconds,
    )


def pids(folder: Path) -> list[int]:
    file = folder / "pids"
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


def test_it_runs_until_closed_and_leaves_no_child(tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        server = supervised(tmp_path)
        await server.start()
        running = pids(tmp_path)
        assert all(map(alive, running))
        await server.close()
        await server.close()
        return running

    assert not any(map(alive, asyncio.run(scenario())))
    log = tmp_path / "engine" / "server.log"
    assert "serving" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("victim", [0, 1])
def test_what_dies_is_started_again(victim: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command itself is killed, or the keeper above it: either way nothing of the old one stays."""
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.05, 0.1))
    (tmp_path / "server.sock").touch()

    async def scenario() -> None:
        server = supervised(tmp_path)
        await server.start()
        assert not (tmp_path / "server.sock").exists()
        before = pids(tmp_path)
        (tmp_path / "server.sock").touch()
        assert server._process is not None
        os.kill([before[0], server._process.pid][victim], signal.SIGKILL)
        await until(lambda: len(pids(tmp_path)) == 2 and pids(tmp_path) != before)
        await until(lambda: not any(map(alive, before)))
        assert not (tmp_path / "server.sock").exists()
        await server.close()

    asyncio.run(scenario())


def test_what_hangs_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.05, 0.1))
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(module, "MISSES", 3)

    async def scenario() -> None:
        server = supervised(tmp_path)
        await server.start()
        before = pids(tmp_path)
        # It lives, but whoever asks gets no answer.
        (tmp_path / "pids").unlink()
        await until(lambda: len(pids(tmp_path)) == 2)
        await until(lambda: not any(map(alive, before)))
        await server.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("script", "seconds", "message"),
    [
        ("print('no such model'); raise SystemExit(3)", 20, r"ended before it served.*server\.log.*no such model"),
        ("import time; print('loading', flush=True); time.sleep(600)", 1, "did not serve in 1 s.*loading"),
    ],
)
def test_what_does_not_come_up_is_explained_and_gone(script: str, seconds: float, message: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        server = supervised(tmp_path, sys.executable, "-c", script, seconds=seconds)
        with pytest.raises(SetupError, match=message):
            await server.start()
        assert server._process is None

    asyncio.run(scenario())


def test_a_command_that_cannot_be_run_is_explained(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(SetupError, match="FileNotFoundError"):
            await supervised(tmp_path, "/absent/vllm").start()

    asyncio.run(scenario())


def test_it_ends_with_whoever_started_it_however_that_dies(tmp_path: Path) -> None:
    script = f"""
import subprocess, sys, time
server = subprocess.Popen(
    [sys.executable, "-I", {str(KEEPER)!r}, sys.executable, "-c", {SERVER!r}, {str(tmp_path / "pids")!r}],
    stdin=subprocess.PIPE, start_new_session=True,
)
time.sleep(600)
"""
    starter = subprocess.Popen([sys.executable, "-c", script])
    try:
        asyncio.run(until(lambda: len(pids(tmp_path)) == 2))
    finally:
        starter.kill()
        starter.wait()
    asyncio.run(until(lambda: not any(map(alive, pids(tmp_path)))))
