"""The processes of a federation on this machine: one SuperLink, and a SuperNode an organization."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import psutil
from samples.recorder import Recorder

from training.certificates import make_certificates, make_node_key
from training.deployment import CA, Node, Server, admit_command, environment, run_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("org-0", "org-1", "org-2")
PATIENCE = 240
HASTE = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "", "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1"}
"""For seven processes on two cores: what one of them compiles, the others need not."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Consortium:
    """The processes of one federation on this machine. All organizations are admitted; nodes start when asked for."""

    def __init__(self, home: Path, base: Path, corpora: dict[str, Path]) -> None:
        self.home, self.base, self.corpora = home, base, corpora
        self.certificates = home / "certificates"
        make_certificates(self.certificates, ["127.0.0.1", "localhost"])
        self.port = free_port()
        self.server = Server(home, port=self.port, folder=self.certificates)
        self.server.connect(f"127.0.0.1:{self.port}")
        self.environment = environment(home, {**os.environ, **HASTE, "PYTHONPATH": os.getcwd()})  # noqa: PTH109
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.recorder = Recorder(self.certificates, self.port)

    def open(self) -> None:
        """Start the server, and admit the organizations."""
        self._start("link", self.server.command())
        until(self._listens, "the SuperLink did not start")
        admissions = [
            subprocess.Popen(
                admit_command(make_node_key(self._key(name)), name),
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name in NAMES
        ]
        assert [one.wait(PATIENCE) for one in admissions] == [0] * len(NAMES)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _key(self, name: str) -> Path:
        return self.home / f"{name}.key"

    def _start(self, name: str, command: list[str]) -> None:
        with (self.home / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def log(self, name: str) -> str:
        path = self.home / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def asked(self, name: str) -> int:
        """How often a node was asked to train."""
        return self.log(name).count("Receiving: train")

    def node(self, name: str) -> None:
        """Start a node."""
        address = f"127.0.0.1:{self.recorder.port}"
        corpus = self.corpora.get(name, self.corpora["org-0"])
        node = Node(name, corpus, str(self.base), address, free_port(), self.certificates / CA, self._key(name))
        self._start(name, node.command())

    def present(self, *names: str) -> None:
        """Have these nodes with the server, and ready to train, when this returns."""
        for name in names:
            if name not in self.processes:
                self.node(name)
        for name in names:
            until(lambda: "SuperNode ID" in self.log(name), f"{name} did not join")  # noqa: B023 - called at once
            until(lambda: "rounds can begin" in self.log(name), f"{name} cannot train")  # noqa: B023

    def hold(self, name: str) -> Callable[[], None]:
        """Let a node receive, and not train before what is returned is called."""
        (rounds,) = psutil.Process(self.processes[name].pid).children()
        rounds.suspend()
        return rounds.resume

    def stranger(self) -> None:
        """Start a node whose key nobody admitted."""
        make_node_key(self._key("stranger"))
        self.node("stranger")

    def run(self, name: str, plan: Path, wait: float, timeout: float) -> None:
        """Submit a run; its log is that of the process called `name`."""
        self.submit(name, run_command(self.home, plan, self.home / name, 2, wait, timeout))

    def submit(self, name: str, command: list[str]) -> None:
        """Start what submits a run."""
        self._start(name, command)

    def kill(self, name: str) -> None:
        """End a node and its rounds like a power cut."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def close(self) -> None:
        self.recorder.close()
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
