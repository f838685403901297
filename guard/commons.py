"""The commons that every index begins with: the standard library of the running Python, and what ordinary code is like.

Both come from the same public files: their fingerprints, which take away what is nobody's secret, and the background
model, which says how much a run of tokens tells. Knows no organization.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from guard.corpus import SourceFile, walk
from guard.ingest import IndexAddress, IngestReport, Progress, ingest
from guard.rarity import Background
from guard.tokens import Syntax, lex
from guard.tree import Tree
from guard.types import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXCLUDED = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages", "_bundled"})
"""Folders of the standard library that are left out: its tests are twice its size and are not what models write."""


def standard_library() -> Owner:
    """The commons owner of this Python's standard library."""
    return Owner.commons(f"python-{sys.version_info.major}-{sys.version_info.minor}-stdlib")


def has_commons(address: IndexAddress) -> bool:
    """Whether the index has a standard library and a background model, whichever Python's."""
    with address.opened() as (index, _):
        owners = [str(owner) for owner in index.owners()]
        known = any(owner.startswith("commons:python-") and owner.endswith("-stdlib") for owner in owners)
        return known and index.background(Syntax.HASH).tokens > 0


def add_standard_library(
    address: IndexAddress, *, jobs: int = 0, progress: Callable[[Progress], None] = lambda _: None
) -> IngestReport:
    """Index the running Python's standard library as commons and train the background model on it."""
    root = Path(sysconfig.get_path("stdlib"))
    report = ingest(address, Tree(root, standard_library(), exclude=EXCLUDED), jobs=jobs, progress=progress)
    with address.opened() as (index, _):
        # Last, since it marks the commons as complete.
        index.put_background(Syntax.HASH, Background.train(_streams(root)))
    return report


def _streams(root: Path) -> Iterator[list[str]]:
    for entry in walk(root):
        if isinstance(entry, SourceFile) and EXCLUDED.isdisjoint(Path(entry.path).parts):
            yield lex(entry.text, entry.language, fragment=False).code.renamed
