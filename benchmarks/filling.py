"""Filling an index to a size: documents of random fingerprints, written the way real ones are.

What is measured on it (look-ups, size, removal) depends on how many postings there are and not on what they mean. Knows
no corpora.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.digest import CONTENT_HASH_BYTES, Digest
from guard.fingerprint import NAME_BITS, Fingerprints
from guard.minhash import BANDS, FRAGMENT, STRIDE, Fragments
from guard.winnowing import W

if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.index import Index
    from guard.types import Owner

FRAGMENTS_A_DOCUMENT = 20
"""A file of some 1,300 tokens, or 160 lines."""
TOGETHER = 8


def fill(index: Index, owner: Owner, fragments: int, *, progress: Callable[[int], None] = lambda _: None) -> int:
    """Add documents until there are so many fragments more; answer how many there are."""
    rng = np.random.default_rng(0)
    id_ = index.owner_id(owner)
    written = 0
    while written < fragments:
        batch = [(id_, _document(rng, f"filler/{written + i}.py")) for i in range(TOGETHER)]
        index.put_all(batch)
        written += TOGETHER * FRAGMENTS_A_DOCUMENT
        progress(written)
    return written


def _document(rng: np.random.Generator, path: str) -> Digest:
    tokens = STRIDE * (FRAGMENTS_A_DOCUMENT + 1)
    # Of W + 1 runs two are kept (Schleimer, Wilkerson & Aiken 2003, section 3).
    count = 2 * tokens // (W + 1)
    starts = np.arange(FRAGMENTS_A_DOCUMENT, dtype=np.int32) * np.int32(STRIDE)
    names = rng.integers(0, 1 << NAME_BITS, (count + FRAGMENTS_A_DOCUMENT * BANDS,), dtype=np.uint64)
    return Digest(
        path=path,
        language="python",
        content=rng.bytes(CONTENT_HASH_BYTES),
        tokens=tokens,
        fingerprints=Fingerprints(
            names[:count],
            np.sort(rng.integers(0, tokens, count)).astype(np.int32),
            rng.integers(0, 256, count).astype(np.uint8),
        ),
        fragments=Fragments(starts, starts + np.int32(FRAGMENT), names[count:].reshape(-1, BANDS)),
    )
