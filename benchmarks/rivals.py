"""Everyone who is asked the guard's questions: datasketch always, SCANOSS and jscpd where they are installed.

What is missing has a note that says how to install it, and no row. Knows no guard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import peer_jscpd
import peer_scanoss
import peers
from questions import OneByOne

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from questions import BatchDetector

    Files = Mapping[str, Sequence[tuple[str, str]]]

FOLDER = "peers"
"""Where optional peers stand below the benchmarks' cache."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A peer that has indexed the files. `name` goes in front of its figures; `parameters` say how it is asked."""

    label: str
    name: str
    detector: BatchDetector
    parameters: str


@dataclass(frozen=True, slots=True)
class Datasketch:
    """MinHashLSH as a detector; it knows no prefix, so it is asked about both together."""

    lsh: peers.WindowLsh

    @classmethod
    def of(cls, files: Files) -> Datasketch:
        """One that has indexed the files of each owner."""
        lsh = peers.WindowLsh()
        for owner, some in files.items():
            for _, text in some:
                lsh.add(owner, text)
        return cls(lsh)

    def owners(self, text: str, prefix: str = "") -> set[str]:
        """Ask about the text with what stands before it."""
        return self.lsh.owners(prefix + text)


def rivals(files: Files, cache: Path) -> tuple[list[Rival], list[str]]:
    """Those that are there, and for each of the others how to install it. `files`: path and text by owner."""
    folder = cache / FOLDER
    present = [Rival("datasketch", "datasketch_", OneByOne(Datasketch.of(files)), peers.PARAMETERS)]
    missing = []
    scanoss = peer_scanoss.ScanossWinnowing.installed(folder)
    if scanoss is None:
        missing.append(f"SCANOSS is left out; to have it: {peer_scanoss.install_command(folder)}")
    else:
        scanoss.index(files)
        present.append(Rival("SCANOSS", "scanoss_", OneByOne(scanoss), peer_scanoss.PARAMETERS))
    for mode in peer_jscpd.MODES:
        jscpd = peer_jscpd.Jscpd.installed(folder, files, mode)
        if jscpd is not None:
            present.append(Rival(f"jscpd, {mode}", f"jscpd_{mode}_", jscpd, peer_jscpd.parameters(mode)))
    if present[-1].name.startswith("jscpd"):
        return present, missing
    return present, [*missing, f"jscpd is left out; to have it: {peer_jscpd.install_command(folder)}"]
