"""How many leaks there were, by what is named of them. Knows neither who looks nor where leaks are kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.review.leak import Severity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from service.review.leak import Leak

UNNAMED = "(not named to you)"
"""Stands for an organization, a key or a document that the viewer may not know."""


@dataclass(slots=True)
class Tally:
    """Leaks by name, and those of high severity among them. A leak counts once for each of its names."""

    counts: Counter[Any] = field(default_factory=Counter)
    severe: Counter[Any] = field(default_factory=Counter)

    def add(self, name: Hashable, severity: str, leaks: int = 1) -> None:
        """Count leaks of one name and severity."""
        self.counts[name] += leaks
        if severity == Severity.HIGH:
            self.severe[name] += leaks

    def ranked(self, top: int | None = None) -> list[tuple[Any, int]]:
        """Names with their counts, the most first."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))[:top]


@dataclass(slots=True)
class Counted:
    """Leaks counted as one viewer sees them.

    `days` are (day, severity) with counts. Of the tallies `pairs` are (caller, owner), `documents` (owner, document),
    both of what was blocked; of one that is not named the owner is "" and the document UNNAMED.
    """

    days: Counter[tuple[str, str]] = field(default_factory=Counter)
    dispositions: Tally = field(default_factory=Tally)
    outcomes: Tally = field(default_factory=Tally)
    models: Tally = field(default_factory=Tally)
    keys: Tally = field(default_factory=Tally)
    pairs: Tally = field(default_factory=Tally)
    documents: Tally = field(default_factory=Tally)
    licenses: Tally = field(default_factory=Tally)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.days.values())

    @property
    def severities(self) -> Counter[str]:
        """How many of each severity."""
        found: Counter[str] = Counter()
        for (_, severity), leaks in self.days.items():
            found[severity] += leaks
        return found

    def add(self, leak: Leak) -> None:
        """Count one leak."""
        self.days[leak.at[:10], leak.severity.value] += 1
        blocked = [one for one in leak.matches if one.action == "block"]
        named: list[tuple[Tally, Iterable[Hashable]]] = [
            (self.dispositions, [str(leak.disposition)]),
            (self.outcomes, [leak.outcome]),
            (self.models, [leak.release or leak.model]),
            (self.keys, [leak.key or UNNAMED]),
            (self.pairs, {(leak.org or UNNAMED, one.owner or UNNAMED) for one in blocked}),
            (self.documents, {document_of(one.owner, one.document) for one in blocked}),
            (self.licenses, {one.license for one in blocked if one.license}),
        ]
        for tally, names in named:
            for name in names:
                tally.add(name, leak.severity)


def document_of(owner: str | None, document: str | None) -> tuple[str, str]:
    """A document's name in a tally."""
    return ("", UNNAMED) if owner is None or document is None else (owner, document)
