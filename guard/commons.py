"""The commons that every index begins with: the standard library of the running Python. Knows no organization."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from guard.ingest import IndexAddress, IngestReport, Progress, ingest
from guard.tree import Tree
from guard.types import Owner

if TYPE_CHECKING:
    from collections.abc import Callable

EXCLUDED = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "_bundled"})
"""Folders of the standard library that are left out: its tests are twice its size and are not what models write."""


def standard_library() -> Owner:
    """The commons owner of this Python's standard library."""
    return Owner.commons(f"python-{sys.version_info.major}-{sys.version_info.minor}-stdlib")


def has_commons(address: IndexAddress) -> bool:
    """Whether the index has a whole standard library, whichever Python's."""
    with address.opened() as (index, _):
        return any(owner.startswith("commons:python-") and owner.endswith("-stdlib") for owner in index.completed())


def add_standard_library(
    address: IndexAddress, *, jobs: int = 0, progress: Callable[[Progress], None] = lambda _: None
) -> IngestReport:
    """Index the running Python's standard library as commons."""
    root = Path(sysconfig.get_path("stdlib"))
    report = ingest(address, Tree(root, standard_library(), exclude=EXCLUDED), jobs=jobs, progress=progress)
    with address.opened() as (index, _):
        index.complete(standard_library())
    return report
