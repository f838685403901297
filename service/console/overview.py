"""The overview: what a period's leaks come to, counted from what the viewer sees of each. Knows no page."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from guard.types import Owner
from service.review.leak import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.review.leak import Leak, LeakMatch

COUNTED = 5_000
"""Leaks counted at most, the newest: an overview must not take longer the longer nobody looked."""
TOP = 8
OTHERS = "another organization"
"""Whoever the viewer may not know."""
PROBING_LEAKS, PROBING_SPAN = 10, timedelta(hours=1)
"""So many blocked generations of one key within so long look like somebody who asks what is in the index."""


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
    """A key that looks as if it asked what is in the index: `leaks` within an hour, the last of them at `at`."""

    key: str
    org: str
    leaks: int
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
    truncated: bool


def overview(leaks: Iterable[Leak], days: int, now: datetime) -> Overview:
    """Count leaks, the newest first, of the `days` that end `now`."""
    read = list(islice(leaks, COUNTED + 1))
    counted = read[:COUNTED]
    by_day: dict[str, Counter[str]] = {}
    for leak in counted:
        by_day.setdefault(leak.at[:10], Counter())[leak.severity] += 1
    dates = [(now - timedelta(days=back)).date().isoformat() for back in reversed(range(days))]
    severities = Counter(leak.severity.value for leak in counted)
    return Overview(
        days=tuple(Day(date, {one.value: by_day.get(date, Counter())[one] for one in Severity}) for date in dates),
        total=len(counted),
        open=sum(leak.disposition == "open" for leak in counted),
        severities={one.value: severities[one.value] for one in Severity},
        pairs=_pairs(counted),
        licenses=_top(match.license for leak in counted for match in _blocked(leak) if match.license),
        models=_top(leak.release or leak.model for leak in counted),
        documents=_documents(counted),
        probing=_probing(counted),
        truncated=len(read) > COUNTED,
    )


def _blocked(leak: Leak) -> list[LeakMatch]:
    return [match for match in leak.matches if match.action == "block"]


def _pairs(leaks: Iterable[Leak]) -> dict[tuple[str, str], int]:
    """How often code of each owner was nearly given to each caller; a leak counts once for every pair in it."""
    counts: Counter[tuple[str, str]] = Counter()
    for leak in leaks:
        for owner in {_name(match) for match in _blocked(leak) if match.private}:
            counts[leak.org or OTHERS, owner] += 1
    return dict(counts)


def _name(match: LeakMatch) -> str:
    return OTHERS if match.owner is None else Owner.parse(match.owner).name


def _documents(leaks: Iterable[Leak]) -> tuple[tuple[str, str, int], ...]:
    counts: Counter[tuple[str, str]] = Counter()
    for leak in leaks:
        counts.update({(_name(one), one.document) for one in _blocked(leak) if one.document is not None})
    return tuple((owner, document, count) for (owner, document), count in counts.most_common(TOP))


def _top(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(names).most_common(TOP))


def _probing(leaks: Iterable[Leak]) -> tuple[Probing, ...]:
    """Keys with too many leaks within PROBING_SPAN, with the most that any such span holds."""
    recent: dict[str, deque[datetime]] = {}
    found: dict[str, Probing] = {}
    for leak in leaks:
        if leak.key is None or leak.org is None:
            continue
        at = datetime.fromisoformat(leak.at)
        window = recent.setdefault(leak.key, deque())
        window.append(at)
        while window[0] - at > PROBING_SPAN:
            window.popleft()
        known = found.get(leak.key)
        if len(window) >= PROBING_LEAKS and (known is None or known.leaks < len(window)):
            last = window[0].isoformat()
            found[leak.key] = Probing(leak.key, leak.org, len(window), last)
    return tuple(sorted(found.values(), key=lambda one: -one.leaks))
