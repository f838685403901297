"""How long one changed file takes to be indexed again, digested and written as ingestion does it. Knows no bars."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from guard.ingest import IndexAddress
    from guard.types import Owner

FILES = 50
CHANGE = "\n\ndef changed_since(value, limit):\n    return [item for item in value if item.size > limit]\n"


def update_times(address: IndexAddress, owner: Owner, folder: Path) -> dict[str, float]:
    """Change FILES of an owner's indexed documents, whose files stand below `folder`, one after the other.

    Milliseconds a file: the median and the 99th percentile.
    """
    times = []
    with address.opened() as (index, digester):
        id_ = index.owner_id(owner)
        paths = sorted(index.paths(owner))
        for path in paths[:: max(1, len(paths) // FILES)][:FILES]:
            text = (folder / path).read_text(encoding="utf-8") + CHANGE
            began = time.perf_counter()
            written = index.put(id_, digester.digest(path, text, "python"))
            times.append((time.perf_counter() - began) * 1000)
            assert written, f"{path} was not written: it was no change"
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    return {"update_p50_ms": p50, "update_p99_ms": p99}
