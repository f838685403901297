"""Runs a node's rounds in forks of one warm process, since loading what trains takes longer than a short round.

Flower starts a program a message; here its own SuperExec forks instead, after the import. A crash, or what a round
leaves in memory, stays in its fork. Knows Flower's task, and of training only the app's name.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from pathlib import Path

from flwr.supercore.constant import TaskType
from flwr.supercore.superexec.executor.subprocess_executor import SubprocessExecutor
from flwr.supercore.superexec.executor.types import ExecutionSpec, LaunchResult
from flwr.supernode.runtime.run_clientapp import run_clientapp

APP = "training.node"
_LOG = logging.getLogger("flwr")


class Forks(SubprocessExecutor):
    """Flower's executor, but a fork a task. Takes tasks of ClientApps and no others."""

    def __init__(self) -> None:
        self._children: set[int] = set()

    def get_eligible_capacity(
        self,
        supported_task_types: set[TaskType],
        *,
        insecure: bool = False,  # noqa: ARG002 - Flower's door
        root_certificates_path: str | None = None,  # noqa: ARG002
    ) -> tuple[set[TaskType], set[str]]:
        """What a node takes on."""
        return supported_task_types & {TaskType.CLIENT_APP}, set()

    def launch(self, spec: ExecutionSpec) -> LaunchResult:
        """Fork, and run the task there."""
        child = os.fork()
        if child:
            self._children.add(child)
            return LaunchResult.accepted()
        status = 1
        try:
            certificates = Path(spec.root_certificates_path).read_bytes() if spec.root_certificates_path else None
            run_clientapp(spec.runtime_api_address, spec.token, spec.insecure, certificates, parent_pid=spec.parent_pid)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 - nothing may pass: above is the parent's loop
            _LOG.exception("a round ended early")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # The handlers at exit are the parent's.
            os._exit(status)

    def reconcile(self) -> None:
        """Forget forks that ended."""
        for child in list(self._children):
            if os.waitpid(child, os.WNOHANG)[0]:
                self._children.discard(child)


def main() -> None:
    """Serve the SuperNode that started this process, until it ends."""
    parser = argparse.ArgumentParser(description="Runs the rounds of one SuperNode.")
    parser.add_argument("--runtime-api-address", required=True)
    parser.add_argument("--parent-pid", type=int, required=True)
    given = parser.parse_args()
    importlib.import_module(APP)
    superexec = importlib.import_module("flwr.supercore.superexec.run_superexec")
    _LOG.info("rounds can begin at %s", given.runtime_api_address)
    superexec.get_executor = lambda *_, **__: Forks()  # type: ignore[attr-defined]
    superexec.run_superexec(given.runtime_api_address, insecure=True, parent_pid=given.parent_pid)


if __name__ == "__main__":
    main()
