"""A document's postings as they are sent to the store: its fingerprints' and bands' names with their positions.

Knows the form that guard.scripts reads, and neither the store nor its keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from guard.digest import Digest

POSITION_LIMIT = (1 << 24) - 1
"""Positions are this or less; what stands further back in a document is not indexed."""


def packed(digest: Digest, most: int) -> bytes:
    """One entry a name: the name (8 bytes), a count (1), and so many positions (3 each), all little-endian.

    Of a name that stands at many places the first `most` are kept. Entries come in no order that means anything.
    """
    prints, fragments = digest.fingerprints, digest.fragments
    names = np.concatenate([prints.hashes, fragments.bands.ravel()])
    positions = np.concatenate([prints.positions, np.repeat(fragments.starts, fragments.bands.shape[1])])
    near = positions < POSITION_LIMIT
    names, positions = names[near], positions[near]
    order = np.argsort(names, kind="stable")
    names, positions = names[order], positions[order].astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
    fresh = np.ones(len(names), dtype=np.bool_)
    fresh[1:] = names[1:] != names[:-1]
    firsts = np.flatnonzero(fresh)
    counts = np.minimum(np.diff(firsts, append=len(names)), most)
    # Entries of one length at a time, since an array has rows of one length.
    return b"".join(_entries(names, positions, firsts[counts == count], count) for count in range(1, most + 1))


def _entries(
    names: np.ndarray[tuple[int], np.dtype[np.uint64]],
    positions: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
    firsts: np.ndarray[tuple[int], np.dtype[np.int64]],
    count: int,
) -> bytes:
    """The entries of the names at `firsts`, each with the `count` positions that begin there."""
    entries = np.empty(len(firsts), dtype=[("name", "<u8"), ("count", "u1"), ("positions", "u1", (count, 3))])
    entries["name"] = names[firsts]
    entries["count"] = count
    entries["positions"] = positions[firsts[:, None] + np.arange(count)]
    return entries.tobytes()
