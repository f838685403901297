"""The overview: what a period's leaks come to. Knows no page, and counts nothing: `Reviews.counted` does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from guard.types import Owner, OwnerKind
from service.review.alerts import AlertKind
from service.review.leak import Disposition, Severity
from service.review.tallies import UNNAMED

if TYPE_CHECKING:
    from datetime import datetime

    from service.review.alerts import Alert
    from service.review.tallies import Counted

TOP = 8
OTHERS = "another organization"
"""Whoever the viewer may not know."""


@dataclass(frozen=True, slots=True)
class Day:
    """The leaks of one day, UTC, by severity."""

    date: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Probing:
    """A key that was noticed to ask what is in the index: how (`probing`, `walking`), and when last, with what."""

    key: str
    org: str
    kind: str
    leaks: int
    minutes: int
    at: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A period. Tables are (name, count) with the most first; `pairs` are (caller, owner) with their counts."""

    days: tuple[Day, ...]
    total: int
    open: int
    severities: dict[str, int]
    pairs: dict[tuple[str, str], int]
    licenses: tuple[tuple[str, int], ...]
    models: tuple[tuple[str, int], ...]
    documents: tuple[tuple[str, str, int], ...]
    probing: tuple[Probing, ...]


def overview(counted: Counted, alerts: tuple[Alert, ...], days: int, now: datetime) -> Overview:
    """What was counted over the `days` that end `now`, and the alerts of that time, the newest first."""
    dates = [(now - timedelta(days=back)).date().isoformat() for back in reversed(range(days))]
    documents = counted.documents.ranked(TOP + 1)
    return Overview(
        days=tuple(Day(date, {one.value: counted.days[date, one] for one in Severity}) for date in dates),
        total=counted.total,
        open=counted.dispositions.counts[Disposition.OPEN.value],
        severities={one.value: counted.severities[one] for one in Severity},
        pairs=_pairs(counted),
        licenses=tuple(counted.licenses.ranked(TOP)),
        models=tuple(counted.models.ranked(TOP)),
        documents=tuple((_name(whose), name, leaks) for (whose, name), leaks in documents if whose)[:TOP],
        probing=_probing(alerts),
    )


def _pairs(counted: Counted) -> dict[tuple[str, str], int]:
    """How often private code of each owner was nearly given to each caller."""
    return {
        (OTHERS if caller == UNNAMED else caller, _name(owner)): leaks
        for (caller, owner), leaks in counted.pairs.counts.items()
        if owner == UNNAMED or Owner.parse(owner).kind is OwnerKind.ORGANIZATION
    }


def _name(owner: str) -> str:
    return OTHERS if owner == UNNAMED else Owner.parse(owner).name


def _probing(alerts: tuple[Alert, ...]) -> tuple[Probing, ...]:
    """Each key and way once, as it was last noticed."""
    found: dict[tuple[str, AlertKind], Probing] = {}
    for one in alerts:
        if one.kind in {AlertKind.PROBING, AlertKind.WALKING}:
            key = str(one.details["key"])
            told = Probing(key, one.org, one.kind.value, one.details["leaks"], one.details["minutes"], one.at)
            found.setdefault((key, one.kind), told)
    return tuple(found.values())
