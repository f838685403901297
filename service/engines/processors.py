"""Counts the processors that this process may really use. Knows nothing of models.

A thread too many costs far more than one too few: threads that compute in step wait for the slowest of them.
"""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")
# The limit of a container: "QUOTA PERIOD" in microseconds, or "max PERIOD" (cgroup v2, kernel.org admin guide).
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def physical_cores() -> int:
    """Physical cores open to this process by affinity and container quota, at least 1."""
    return max(1, min(_cores_in_affinity(), _quota()))


def _cores_in_affinity() -> int:
    if not hasattr(os, "sched_getaffinity"):
        # macOS on Apple silicon has no threads beside cores; Intel ones have two a core.
        return (os.cpu_count() or 1) // (1 if platform.machine() == "arm64" else 2)
    processors = os.sched_getaffinity(0)
    # Threads of one core list the same siblings.
    siblings = {_siblings(processor) for processor in processors}
    return len(siblings)


def _siblings(processor: int) -> str:
    try:
        return (TOPOLOGY / f"cpu{processor}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(processor)


def _quota() -> int:
    try:
        quota, period = QUOTA.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return os.cpu_count() or 1
