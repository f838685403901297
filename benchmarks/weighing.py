"""How close does the guard come to a match? The best chain of each search, as the check weighs it, match or no match.

A text has a stream of code and, where it has comments, one of their words; each is a search of its own. Asks the real
index as `guard/check.py` does: a first look and, where that is suspicious, a closer one. Knows no corpora.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from calibration import Search

from guard.background import backgrounds_for
from guard.candidates import SUSPICIOUS_SHARE, Examination
from guard.licenses import LicensePolicy
from guard.policy import Viewpoint
from guard.significance import Significance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.digest import Digester, Probe
    from guard.index import Index


class Weighing:
    """Weighs texts by one index as a caller who owns none of it."""

    def __init__(self, index: Index, digester: Digester, caller: str) -> None:
        self._index = index
        self._digester = digester
        self._view = Viewpoint(caller, LicensePolicy.default())

    def searches(self, text: str, language: str, *, copy: bool) -> Iterator[Search]:
        """What came of each stream of a text that is none; of the code alone where it is one.

        The comments of a disguised copy are not its own.
        """
        for probe in self._digester.probes(text, language):
            if copy and probe.prose:
                continue
            found, bits, tokens = self._examined(probe, language)
            if not found and bits:
                bits = max(bits, self._examined(self._digester.closer(probe), language)[1])
            scale = Significance(len(probe.stream), tokens)
            # Chains below the share of the threshold from which the guard is suspicious are not drawn at all.
            yield Search(scale.expected(bits), scale.expected(SUSPICIOUS_SHARE * scale.threshold), copy=copy)

    def _examined(self, probe: Probe, language: str) -> tuple[bool, float, int]:
        """Whether there is a match, bits of the best chain if it is worth a closer look, and the indexed tokens."""
        names = np.concatenate([probe.fingerprints.names, probe.fragments.bands.ravel()])
        hits = self._index.lookup(names)
        examination = Examination(probe, hits, backgrounds_for(language, probe.syntax), boundary=0)
        matches = examination.candidates(self._index, self._view)
        best = max((trace.bits for trace in examination.traces()), default=0.0)
        return bool(matches), best if examination.suspects() else 0.0, hits.tokens
