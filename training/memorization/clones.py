"""Which lines of a text lie in clones of training data: runs of six lines or more, equal but for layout.

The measure of Chen & Jiang, "Promise and Peril of Collaborative Code Generation Models" (ASE 2024, arXiv 2409.12020):
lines in such clones over generated lines (type 1 of Roy & Cordy 2007, from six lines on, as Simian finds them). Knows
no model, and keeps hashes of windows and no text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LINES = 6
"""Lines in a row that make a clone."""
VENDORED = frozenset(
    {"_vendor", "_vendored", "vendor", "vendored", "vendors", "third_party", "thirdparty", "third-party", "external",
     "externals", "extern", "node_modules"}
)  # fmt: skip
"""Folders whose code is somebody else's."""
_VENDORED_BIT = 1


class CloneClass(StrEnum):
    """Who holds a run of lines: one organization alone, several, or a folder of vendored code anywhere."""

    UNIQUE = "unique"
    SHARED = "shared"
    VENDORED = "vendored"


_ORDER = (CloneClass.UNIQUE, CloneClass.SHARED, CloneClass.VENDORED)


@dataclass(frozen=True, slots=True)
class Held:
    """A line that lies in a clone: the organizations that hold one of the clones, and the widest class among them."""

    organizations: frozenset[str]
    kind: CloneClass


def lines_of(text: str) -> list[str]:
    """The lines of a text without any white space; empty ones are no lines."""
    return [line for line in ("".join(line.split()) for line in text.splitlines()) if line]


def is_vendored(path: str) -> bool:
    """Whether a path leads through a folder of vendored code."""
    return not VENDORED.isdisjoint(part.lower() for part in path.split("/")[:-1])


class CloneIndex:
    """Every window of LINES lines of the training data, and who holds it."""

    def __init__(self) -> None:
        self._windows: dict[bytes, int] = {}
        self._organizations: list[str] = []

    @property
    def organizations(self) -> tuple[str, ...]:
        """Those that were added, in that order."""
        return tuple(self._organizations)

    def add(self, organization: str, path: str, text: str) -> None:
        """Add a file."""
        if organization not in self._organizations:
            self._organizations.append(organization)
        mask = 1 << (self._organizations.index(organization) + 1)
        if is_vendored(path):
            mask |= _VENDORED_BIT
        for window in _windows(lines_of(text)):
            self._windows[window] = self._windows.get(window, 0) | mask

    def held(self, lines: Sequence[str]) -> list[Held | None]:
        """For each of a text's lines, as `lines_of` gives them, who holds a clone in which it lies; None: nobody."""
        masks = [self._windows.get(window, 0) for window in _windows(lines)]
        answer: list[Held | None] = []
        for place in range(len(lines)):
            found = [mask for mask in masks[max(0, place - LINES + 1) : place + 1] if mask]
            answer.append(self._told(found) if found else None)
        return answer

    def _told(self, masks: Sequence[int]) -> Held:
        kind = max((_kind(mask) for mask in masks), key=_ORDER.index)
        every = 0
        for mask in masks:
            every |= mask
        names = frozenset(name for number, name in enumerate(self._organizations) if every >> (number + 1) & 1)
        return Held(names, kind)

    def classes(self, text: str) -> list[CloneClass]:
        """The class of every line of a file, empty ones included, in which they are as the line before.

        A line in no window (of a file that was not added, or too short for one) is unique to its organization.
        """
        held = iter(self.held(lines_of(text)))
        answer: list[CloneClass] = []
        for line in text.splitlines():
            found = next(held) if line.split() else None
            before = answer[-1] if answer and not line.split() else CloneClass.UNIQUE
            answer.append(found.kind if found is not None else before)
        return answer


def _kind(mask: int) -> CloneClass:
    if mask & _VENDORED_BIT:
        return CloneClass.VENDORED
    # A power of two is one organization.
    return CloneClass.SHARED if mask & (mask - 1) else CloneClass.UNIQUE


def _windows(lines: Sequence[str]) -> Iterable[bytes]:
    for start in range(len(lines) - LINES + 1):
        text = "\n".join(lines[start : start + LINES])
        yield hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
