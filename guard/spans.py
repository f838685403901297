"""Spans of a query that stand in a document of the index. Knows neither how they are found nor what is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guard.winnowing import W

if TYPE_CHECKING:
    from guard.digest import Probe
    from guard.hits import DocumentId
    from guard.types import MatchKind, Owner


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of the query that may be a copy. `first` and `last` are token indexes, `covered` of them are shared."""

    document: DocumentId
    owner: Owner
    probe: Probe
    kind: MatchKind
    first: int
    last: int
    covered: int
    bits: float
    expected: float
    reordered: bool = False

    @property
    def tokens(self) -> int:
        """Tokens from the first shared one to the last."""
        return self.last - self.first + 1

    @property
    def similarity(self) -> float:
        """Share of them that stands in the document."""
        return self.covered / self.tokens

    @property
    def evidence(self) -> str:
        """Why it is one, in words."""
        order = "the same statements in another order, " if self.reordered else ""
        return f"{order}{self.bits:.0f} bits of evidence ({self.expected:.0e} such matches expected by chance)"

    def characters(self, boundary: int, length: int) -> tuple[int, int]:
        """The span in the generation, which begins at character `boundary` of the query.

        It begins W - 1 tokens before the first shared fingerprint: the copy may have begun that early (the guarantee
        of winnowing), and what is kept in front of it must be clean.
        """
        stream = self.probe.stream
        start, end = int(stream.starts[max(0, self.first - (W - 1))]) - boundary, int(stream.ends[self.last]) - boundary
        # A generation too short to be told from going on with what stands in the prompt is meant as a whole.
        return max(0, start), min(length, end) if end > 0 else length


@dataclass(frozen=True, slots=True)
class Trace:
    """A chain that is worth something, match or not, from its first to its last token that is not set aside."""

    owner: Owner
    first: int
    last: int
    bits: float
